#!/bin/busybox sh
# The initramfs of a virtual machine: the host's root, read-only over 9p, under a writable layer in memory; then inside.sh in there.
# The kernel's command line gives: job.lower (modules are in the archive already, in the order of /modules/order).
/bin/busybox mkdir -p /proc /sys /dev /lower /layer /root
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
die() { echo "init: $*" > /dev/ttyS0; /bin/busybox poweroff -f; }
while read -r module; do /bin/busybox insmod "/modules/$module" || die "module $module cannot be loaded"; done < /modules/order
if /bin/busybox grep -q l3ctl.probe /proc/cmdline; then echo "it runs" > /dev/ttyS1; /bin/busybox poweroff -f; fi
options=trans=virtio,version=9p2000.L,msize=524288
/bin/busybox mount -t 9p -o "$options,ro,cache=loose" root /lower || die "the host's root cannot be mounted"
/bin/busybox mount -t tmpfs -o size=75% layer /layer
/bin/busybox mkdir /layer/upper /layer/work
/bin/busybox mount -t overlay -o lowerdir=/lower,upperdir=/layer/upper,workdir=/layer/work root /root || die "no overlay"
# Nothing of the running host shows through: its sockets, its namespaces, its bpffs.
for place in proc sys dev run; do /bin/busybox mount -t tmpfs none "/root/$place"; done
/bin/busybox mkdir /root/run/job
/bin/busybox mount -t 9p -o "$options" job /root/run/job || die "the job cannot be mounted"
/bin/busybox umount /root/dev /root/proc
/bin/busybox mount --move /dev /root/dev
/bin/busybox mount --move /proc /root/proc
exec /bin/busybox switch_root /root /bin/bash /run/job/inside.sh
