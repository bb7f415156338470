//! Assigns devices to running instances.

use crate::stage::DeviceId;

/// The devices of a run, and the number of instances on each of them.
#[derive(Debug)]
pub(super) struct Devices {
    all: Vec<(DeviceId, usize)>,
}

impl Devices {
    /// Takes a set of devices, none of them in use. Without any, uses the CPU.
    pub(super) fn new(devices: &[DeviceId]) -> Self {
        let devices = if devices.is_empty() { &[DeviceId::Cpu] } else { devices };
        Self { all: devices.iter().map(|&device| (device, 0)).collect() }
    }

    /// Returns the number of GPUs.
    pub(super) fn gpus(&self) -> usize {
        self.all.iter().filter(|(device, _)| *device != DeviceId::Cpu).count()
    }

    /// Assigns `count` devices, at least one: those with the fewest instances, and the first of equals.
    pub(super) fn assign(&mut self, count: usize) -> Vec<DeviceId> {
        let mut order: Vec<usize> = (0..self.all.len()).collect();
        order.sort_by_key(|&at| self.all[at].1);
        order.truncate(count.max(1));
        order.iter().for_each(|&at| self.all[at].1 += 1);
        order.into_iter().map(|at| self.all[at].0).collect()
    }

    /// Releases the devices of an instance that ended.
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
