//! What a cluster changes on the machine outside its directory, and how that is undone.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::layout::{BRIDGE, Layout, NODE};
use crate::cache::discard;
use crate::process::{self, Process};
use crate::run;

/// Settings of the kernel that a cluster needs or that the kubelet sets; their earlier values are kept.
const SETTINGS: &[(&str, Option<&str>)] = &[
    ("net/ipv4/ip_forward", Some("1")),
    // Pods of one bridge answer each other directly; the answer must still pass the rule that translated the question.
    ("net/bridge/bridge-nf-call-iptables", Some("1")),
    ("kernel/panic", None),
    ("kernel/panic_on_oops", None),
    ("vm/overcommit_memory", None),
    ("vm/panic_on_oom", None),
];

/// Makes the bridge and sets the kernel's settings.
pub(super) fn prepare(layout: &Layout) -> Result<()> {
    // Built in or loaded already on most machines. What is really missing shows in the steps that need it.
    for module in ["br_netfilter", "overlay"] {
        let _ = run::output(Command::new("modprobe").arg(module));
    }
    for (name, value) in SETTINGS {
        let path = Path::new("/proc/sys").join(name);
        let Ok(earlier) = fs::read_to_string(&path) else {
            continue;
        };
        let kept = layout.path("settings").join(name);
        fs::create_dir_all(kept.parent().context("a directory of settings")?)?;
        fs::write(&kept, &earlier)?;
        if let Some(value) = value.filter(|&value| value != earlier.trim()) {
            fs::write(&path, value).with_context(|| format!("setting {name}"))?;
        }
    }
    ip(&["link", "add", BRIDGE, "type", "bridge"])?;
    ip(&["address", "add", &format!("{NODE}/24"), "dev", BRIDGE])?;
    ip(&["link", "set", BRIDGE, "up"])?;
    forward("--insert");
    Ok(())
}

/// Undoes all that a cluster in `layout` did to the machine, whatever state it is in. Its daemons have ended.
pub(super) fn clean(layout: &Layout) -> Result<()> {
    end_containers(layout)?;
    unmount(layout)?;
    if Path::new("/sys/class/net").join(BRIDGE).exists() {
        ip(&["link", "delete", BRIDGE])?;
    }
    forward("--delete");
    if !layout.state().exists() {
        return Ok(());
    }
    for family in ["ip", "ip6"] {
        // Not there when kube-proxy did not come that far.
        let _ = run::output(Command::new("nft").args(["delete", "table", family, "kube-proxy"]));
    }
    for (name, _) in SETTINGS {
        if let Ok(earlier) = fs::read_to_string(layout.path("settings").join(name)) {
            fs::write(Path::new("/proc/sys").join(name), earlier.trim())
                .with_context(|| format!("setting {name} back"))?;
        }
    }
    remove_cgroups();
    remove_leftovers(layout)
}

/// A machine with Docker drops what it forwards unless a rule accepts it.
///
/// Without iptables, or without that rule, nothing is lost: then nobody drops.
fn forward(change: &str) {
    for direction in ["--in-interface", "--out-interface"] {
        let rule = [change, "FORWARD", direction, BRIDGE, "--jump", "ACCEPT"];
        let _ = run::output(Command::new("iptables").args(["--wait"]).args(rule));
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    run::output(Command::new("ip").args(arguments)).map(drop)
}

/// Ends the processes of pods, and the shims above them.
fn end_containers(layout: &Layout) -> Result<()> {
    let socket = layout.socket().display().to_string();
    for pid in process::all()? {
        let words = process::command_line(pid);
        let is_shim = words
            .first()
            .is_some_and(|word| word.ends_with("containerd-shim-runc-v2"))
            && words.contains(&socket);
        if (is_shim || is_in_container(pid, &layout.images()))
            && let Ok(process) = Process::current(pid)
        {
            process.kill()?;
        }
    }
    Ok(())
}

/// Whether the root directory of a process is a container's file system, made of `images`.
///
/// This holds when its shim is gone, and for no process of the machine itself.
fn is_in_container(pid: i32, images: &Path) -> bool {
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    let upper = format!("upperdir={}/", images.display());
    mounts.lines().any(|line| {
        let is_root = line.split(' ').nth(4) == Some("/");
        is_root && line.contains(&upper)
    })
}

/// Unmounts everything of ours, the innermost first.
fn unmount(layout: &Layout) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("listing mounts")?;
    let mut ours = mounts_below(&mounts, layout.state());
    ours.extend(mounts_below(&mounts, &layout.images()));
    for path in ours.iter().rev() {
        // Lazily: a process that just ended may still be leaving.
        run::output(
            Command::new("umount")
                .args(["--lazy", "--no-mtab"])
                .arg(path),
        )?;
    }
    Ok(())
}

/// Mount points below `dir`, in the order in which they were mounted.
fn mounts_below(mountinfo: &str, dir: &Path) -> Vec<PathBuf> {
    mountinfo
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(PathBuf::from)
        .filter(|path| path.starts_with(dir))
        .collect()
}

/// Removes the kubelet's empty cgroups. One that is in use is not ours, and stays.
fn remove_cgroups() {
    let mut roots = vec![PathBuf::from("/sys/fs/cgroup")];
    roots.extend(
        fs::read_dir("/sys/fs/cgroup")
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path()),
    );
    for root in roots {
        remove_empty(&root.join("kubepods"));
    }
}

fn remove_empty(cgroup: &Path) {
    for entry in fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_empty(&entry.path());
        }
    }
    // Fails with "busy" while a process is in it.
    let _ = fs::remove_dir(cgroup);
}

/// Removes the few files that components keep in places that cannot be configured.
fn remove_leftovers(layout: &Layout) -> Result<()> {
    // The kubelet's names for log files: /var/log/containers/POD_NAMESPACE_CONTAINER.log -> our state.
    for link in entries("/var/log/containers") {
        if fs::read_link(&link).is_ok_and(|target| target.starts_with(layout.state())) {
            discard(&link)?;
        }
    }
    // What the network's plugins gave to which sandbox: BRIDGE-SANDBOX-eth0, and cni-loopback-SANDBOX-lo beside it.
    let sandbox_of = |name: &str| -> Option<String> {
        let own = name.strip_prefix(&format!("{BRIDGE}-"))?;
        Some(own.strip_suffix("-eth0")?.to_owned())
    };
    for result in entries("/var/lib/cni/results") {
        if let Some(sandbox) = sandbox_of(&result.file_name().unwrap_or_default().to_string_lossy())
        {
            discard(&result)?;
            discard(&result.with_file_name(format!("cni-loopback-{sandbox}-lo")))?;
        }
    }
    // Sockets of shims and of the kubelet, at which nobody listens any more.
    let listening = fs::read_to_string("/proc/net/unix").context("listing sockets")?;
    let listening: HashSet<&str> = listening
        .lines()
        .filter_map(|line| line.split(' ').next_back())
        .collect();
    for socket in [
        entries("/run/containerd/s"),
        entries("/var/lib/kubelet/device-plugins"),
    ]
    .concat()
    {
        if !listening.contains(socket.to_string_lossy().as_ref()) {
            discard(&socket)?;
        }
    }
    // Directories that others may use too go only when they are empty.
    for dir in [
        "/var/log/containers",
        "/var/lib/cni/results",
        "/var/lib/kubelet/device-plugins",
        "/var/lib/kubelet",
        "/run/containerd/s",
    ] {
        let _ = fs::remove_dir(dir);
    }
    Ok(())
}

fn entries(dir: &str) -> Vec<PathBuf> {
    fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::mounts_below;

    #[test]
    fn only_mounts_below_the_directory_are_ours() {
        let mountinfo = "\
1 0 254:0 / / rw,relatime - ext4 /dev/vda rw
2 1 0:30 / /state/kubelet/pods/a rw - tmpfs tmpfs rw
3 1 0:31 / /state2/other rw - tmpfs tmpfs rw
4 2 0:32 / /state/kubelet/pods/a/b rw - tmpfs tmpfs rw";
        let expected = ["/state/kubelet/pods/a", "/state/kubelet/pods/a/b"].map(PathBuf::from);
        assert_eq!(mounts_below(mountinfo, Path::new("/state")), expected);
    }
}
