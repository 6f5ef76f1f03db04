//! A share of a processor, as Lambda gives it by memory: 1,769 MB are one.

use std::fs;
use std::path::PathBuf;

/// A group of the kernel's CPU controller (cgroup v2, else v1) with a quota. Gone when dropped.
pub(crate) struct CpuQuota(PathBuf);

impl CpuQuota {
    /// The share that a function of so many megabytes has. `None` where this user may not make groups.
    pub(crate) fn of_memory(megabytes: u32) -> Option<Self> {
        const PERIOD: u64 = 20_000; // microseconds

        let quota = PERIOD * u64::from(megabytes) / 1769;
        let name = format!("benchmark-{}-{megabytes}", std::process::id());
        let unified = PathBuf::from("/sys/fs/cgroup").join(&name);
        let group = if PathBuf::from("/sys/fs/cgroup/cgroup.controllers").exists() {
            fs::create_dir(&unified).ok()?;
            fs::write(unified.join("cpu.max"), format!("{quota} {PERIOD}")).ok()?;
            unified
        } else {
            let group = PathBuf::from("/sys/fs/cgroup/cpu").join(&name);
            fs::create_dir(&group).ok()?;
            fs::write(group.join("cpu.cfs_period_us"), PERIOD.to_string()).ok()?;
            fs::write(group.join("cpu.cfs_quota_us"), quota.to_string()).ok()?;
            group
        };
        Some(Self(group))
    }

    /// Puts a process in.
    pub(crate) fn add_process(&self, pid: u32) {
        fs::write(self.0.join("cgroup.procs"), pid.to_string()).expect("the group takes it");
    }
}

impl Drop for CpuQuota {
    fn drop(&mut self) {
        // Its last process may still be on its way out.
        for _ in 0..50 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}
