#!/bin/bash
# The first process of the virtual machine once it stands on the host's root: what a booted Debian would have, then the job, then off.
trap 'echo o > /proc/sysrq-trigger; sleep 60' EXIT
# Pytest would look for plugins, and import Hypothesis, for ten seconds.
export L3CTL_VM=1 L3CTL_PATIENCE=4 PYTEST_DISABLE_PLUGIN_AUTOLOAD=1
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LANG=C.UTF-8
umount /sys && mount -t sysfs sys /sys
mkdir -p /dev/pts /dev/shm /run/lock
mount -t devpts -o ptmxmode=0666 devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing
mount -t tmpfs -o mode=1777 tmp /tmp.vm 2>/dev/null || true
. /run/job/settings  # RELEASE MODULES FOLDER
mkdir -p /lib/modules
[ -e "/lib/modules/$RELEASE" ] || ln -s "$MODULES" "/lib/modules/$RELEASE"
hostname vm
ip link set lo up
stty -F /dev/ttyS1 raw -echo 2>/dev/null
cd "$FOLDER" || exit
bash /run/job/cmd < /dev/null > /dev/ttyS1 2>&1
echo $? > /run/job/rc.part
mv /run/job/rc.part /run/job/rc
sync
