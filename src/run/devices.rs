//! Assigns devices to running instances.

use crate::stage::DeviceId;

/// The devices of a run, and the number of instances on each of them.
#[derive(Debug, Default)]
pub(super) struct Devices {
    all: Vec<(DeviceId, usize)>,
    /// The GPUs that programs use in a run whose stages compute on the CPU.
    programs: Vec<(DeviceId, usize)>,
}

impl Devices {
    /// Takes a set of devices, none of them in use. Without any, uses the CPU, and programs use the GPUs `present`.
    pub(super) fn new(devices: &[DeviceId], present: &[DeviceId]) -> Self {
        let unused = |devices: &[DeviceId]| devices.iter().map(|&device| (device, 0)).collect::<Vec<_>>();
        if devices.iter().any(|device| *device != DeviceId::Cpu) {
            return Self { all: unused(devices), programs: Vec::new() };
        }
        Self { all: unused(&[DeviceId::Cpu]), programs: unused(present) }
    }

    /// Returns the number of GPUs, and whether only programs use them.
    pub(super) fn gpus(&self) -> (usize, bool) {
        let gpus = self.all.iter().filter(|(device, _)| *device != DeviceId::Cpu).count();
        if gpus > 0 { (gpus, false) } else { (self.programs.len(), true) }
    }

    /// Assigns `count` devices: those with the fewest instances, and the first of equals. A stage gets at least one
    /// device, a program only GPUs.
    pub(super) fn assign(&mut self, count: usize, is_program: bool) -> Vec<DeviceId> {
        let (_, apart) = self.gpus();
        let (pool, count) = match (is_program, apart) {
            (true, true) => (&mut self.programs, count),
            (true, false) => (&mut self.all, count),
            (false, _) => (&mut self.all, count.max(1)),
        };
        let mut order: Vec<usize> = (0..pool.len()).collect();
        order.sort_by_key(|&at| pool[at].1);
        order.truncate(count);
        order.iter().for_each(|&at| pool[at].1 += 1);
        order.into_iter().map(|at| pool[at].0).collect()
    }

    /// Releases the devices of an instance that ended.
    pub(super) fn release(&mut self, devices: &[DeviceId]) {
        for (device, users) in self.all.iter_mut().chain(&mut self.programs) {
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
        let mut devices = Devices::new(&[gpu(0), gpu(1), gpu(3)], &[]);
        assert_eq!(devices.gpus(), (3, false));
        assert_eq!(devices.assign(1, false), [gpu(0)]);
        assert_eq!(devices.assign(0, false), [gpu(1)], "every instance computes somewhere");
        assert_eq!(devices.assign(2, false), [gpu(3), gpu(0)]);
        devices.release(&[gpu(1)]);
        assert_eq!(devices.assign(1, false), [gpu(1)]);
        assert_eq!(devices.assign(9, false).len(), 3);
        assert!(devices.assign(0, true).is_empty(), "a program gets the GPUs that it needs");
    }

    #[test]
    fn programs_use_gpus_where_stages_use_the_cpu() {
        let gpu = DeviceId::Cuda;
        let mut devices = Devices::new(&[], &[gpu(2), gpu(5)]);
        assert_eq!((devices.gpus(), devices.assign(1, false)), ((2, true), vec![DeviceId::Cpu]));
        assert_eq!((devices.assign(1, true), devices.assign(1, true)), (vec![gpu(2)], vec![gpu(5)]));
        devices.release(&[gpu(5)]);
        assert_eq!(devices.assign(1, true), [gpu(5)]);
        assert!(Devices::new(&[DeviceId::Cpu], &[]).assign(1, true).is_empty());
    }
}
