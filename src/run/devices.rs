//! Which device each running instance gets.

use crate::stage::DeviceId;

/// The devices of a run, and how many instances use each of them.
#[derive(Debug)]
pub(super) struct Devices {
    all: Vec<(DeviceId, usize)>,
}

impl Devices {
    /// Devices that nothing uses yet. Without any, the CPU.
    pub(super) fn new(devices: &[DeviceId]) -> Self {
        let devices = if devices.is_empty() { &[DeviceId::Cpu] } else { devices };
        Self { all: devices.iter().map(|&device| (device, 0)).collect() }
    }

    /// How many of them are GPUs.
    pub(super) fn gpus(&self) -> usize {
        self.all.iter().filter(|(device, _)| *device != DeviceId::Cpu).count()
    }

    /// Assigns `count` devices, at least one: those that the fewest instances use, of equals the first.
    pub(super) fn assign(&mut self, count: usize) -> Vec<DeviceId> {
        let mut order: Vec<usize> = (0..self.all.len()).collect();
        order.sort_by_key(|&at| self.all[at].1);
        order.truncate(count.max(1));
        order.iter().for_each(|&at| self.all[at].1 += 1);
        order.into_iter().map(|at| self.all[at].0).collect()
    }

    /// Takes devices back from an instance that ended.
    pub(super) fn release(&mut self, devices: &[DeviceId]) {
        for (device, users) in &mut self.all {
            *users -= usize::from(devices.contains(device));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_are_spread_over_the_devices() {
        let gpu = DeviceId::Cuda;
        let mut devices = Devices::new(&[gpu(0), gpu(1), gpu(3)]);
        assert_eq!(devices.gpus(), 3);
        assert_eq!(devices.assign(1), [gpu(0)]);
        assert_eq!(devices.assign(0), [gpu(1)], "every instance computes somewhere");
        assert_eq!(devices.assign(2), [gpu(3), gpu(0)]);
        devices.release(&[gpu(1)]);
        assert_eq!(devices.assign(1), [gpu(1)]);
        assert_eq!(devices.assign(9).len(), 3);
        let mut cpu = Devices::new(&[]);
        assert_eq!((cpu.gpus(), cpu.assign(0), cpu.assign(1)), (0, vec![DeviceId::Cpu], vec![DeviceId::Cpu]));
    }
}
