#!/bin/bash
# Builds the guest image that Maldon ships: a small Linux from Debian packages only; no mounts, no loop devices, no root.
#
#   build.sh OUT_DIR        makes OUT_DIR/maldon-guest.qcow2; the same packages give the same bytes
#
# A disk for BIOS boot: FAT with syslinux, kernel and a small initrd; then ext4, last so that it can grow with the disk.
# initrd/init and rootfs/ are the guest's own files, Debian gives the rest. The kernel's package is kept in OUT_DIR, and
# taken from there without asking the network. The image appears whole or not at all.
set -euo pipefail
umask 022
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin
export SOURCE_DATE_EPOCH=1700000000 E2FSPROGS_FAKE_TIME=1700000000 MTOOLS_SKIP_CHECK=1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(mkdir -p "${1:?usage: build.sh OUT_DIR}" && cd "$1" && pwd)

busybox=/bin/busybox
programs="/usr/sbin/dropbear /usr/bin/dropbearkey /usr/bin/curl /usr/sbin/resize2fs"
boot_modules="virtio_pci virtio_mmio virtio_blk virtio_net virtio_scsi sd_mod"
modules="$boot_modules ata_piix sr_mod isofs vfat nls_cp437 nls_ascii nls_utf8 virtio_rng virtio_balloon virtio_console
    button evdev 8021q"

main() {
    require_tools
    exec 9>"$out/.maldon-guest.lock"
    flock 9
    rm -rf "$out"/.maldon-guest.build.* # of a build that was killed
    work=$(mktemp -d "$out/.maldon-guest.build.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    fetch_kernel
    step "root file system"
    fill_root
    step "initrd"
    make_initrd
    step "disk"
    make_boot_partition
    make_root_partition
    make_disk
    sync "$work/disk.qcow2"
    mv "$work/disk.qcow2" "$out/maldon-guest.qcow2"
    step "$out/maldon-guest.qcow2, $(($(stat -c %s "$out/maldon-guest.qcow2") / 1000000)) MB"
}

step() { echo "guest image: $*"; }

require_tools() {
    local missing=() tool
    for tool in $busybox $programs cpio zstd depmod modprobe mke2fs debugfs mkfs.fat mcopy syslinux sfdisk qemu-img dpkg-deb flock \
        /usr/lib/syslinux/mbr/mbr.bin; do
        command -v "$tool" >/dev/null || [ -e "$tool" ] || missing+=("$tool")
    done
    [ ${#missing[@]} = 0 ] && return
    echo "The guest image cannot be built without ${missing[*]}; \`make setup\` installs the packages that hold them." >&2
    exit 1
}

fetch_kernel() { # sets kernel, the directory with the package's files, and version
    local package deb
    deb=$(find "$out" -maxdepth 1 -name 'linux-image-*-cloud-amd64_*.deb' | sort -V | tail -1)
    if [ -z "$deb" ]; then
        package=$(apt-cache depends linux-image-cloud-amd64 | awk '$1 == "Depends:" { print $2; exit }')
        [ -n "$package" ] || { echo "apt knows no linux-image-cloud-amd64: run apt-get update." >&2; exit 1; }
        step "fetching $package"
        (mkdir "$work/deb" && cd "$work/deb" && apt-get -qq -o APT::Sandbox::User=root download "$package")
        mv "$work"/deb/*.deb "$out/"
        deb=$(find "$out" -maxdepth 1 -name "${package}_*.deb")
    fi
    kernel=$work/kernel
    dpkg-deb -x "$deb" "$kernel"
    version=$(ls "$kernel/lib/modules")
    step "kernel $version"
    depmod -b "$kernel" "$version"
}

new_tree() { # TREE, with busybox under all its names
    mkdir -p "$1"/{bin,sbin,proc,sys,dev,newroot}
    cp $busybox "$1/bin/busybox"
    local applet
    for applet in $($busybox --list); do
        [ "$applet" = busybox ] || ln -s busybox "$1/bin/$applet"
    done
    for applet in init poweroff reboot halt modprobe; do ln -s ../bin/busybox "$1/sbin/$applet"; done
}

add_modules() { # TREE MODULE...: with all they depend on
    local tree=$1 module file dir=lib/modules/$version
    shift
    mkdir -p "$tree/$dir"
    for module in "$@"; do
        modprobe -d "$kernel" -S "$version" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'
    done | sort -u | while read -r file; do
        install -D -m 644 "$file" "$tree/${file#"$kernel/"}"
    done
    cp "$kernel/$dir"/modules.{builtin,builtin.modinfo,order} "$tree/$dir/"
    depmod -b "$tree" "$version"
    rm -f "$tree/$dir"/modules.{*.bin,builtin.modinfo,order,symbols,devname,softdep} # busybox reads the others
}

add_program() { # TREE PROGRAM: with its libraries
    local file
    for file in "$2" $(ldd "$2" | grep -o '/[^ ]*'); do
        [ -e "$1$file" ] || install -D -m 755 "$(readlink -f "$file")" "$1$file"
    done
}

fill_root() { # sets root
    root=$work/root
    new_tree "$root"
    rmdir "$root/newroot"
    mkdir -p "$root"/{etc,run,tmp,mnt,root,home/maldon,var/log,var/lib/maldon}
    add_modules "$root" $modules
    local program name
    for program in $programs; do add_program "$root" "$program"; done
    for name in libnss_files.so.2 libnss_dns.so.2; do
        install -m 644 "/lib/x86_64-linux-gnu/$name" "$root/lib/x86_64-linux-gnu/$name"
    done
    (cd "$here/rootfs" && find . -type f) | while read -r name; do
        install -D -m 644 "$here/rootfs/$name" "$root/$name"
    done
    chmod 755 "$root"/lib/maldon/* "$root"/etc/acpi/PWRF/*
    chmod 4755 "$root/bin/busybox" # for ping, su and login; it gives up the right for every other name
    chmod 600 "$root/etc/shadow"
    chmod 700 "$root"/{root,home/maldon,var/lib/maldon}
    chmod 1777 "$root/tmp"
    ln -s /proc/mounts "$root/etc/mtab"
}

make_initrd() {
    local tree=$work/initrd
    new_tree "$tree"
    add_modules "$tree" $boot_modules
    install -m 755 "$here/initrd/init" "$tree/init"
    find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
    (cd "$tree" && find . | sort | cpio -o -H newc --quiet --reproducible -R 0:0) | zstd -q -19 >"$work/initrd.img"
}

make_boot_partition() {
    local files=("$work/vmlinuz" "$work/initrd.img" "$work/syslinux.cfg") bytes
    cp "$kernel/boot/vmlinuz-$version" "$work/vmlinuz"
    cat >"$work/syslinux.cfg" <<CONFIG
DEFAULT maldon
PROMPT 0
LABEL maldon
  KERNEL vmlinuz
  INITRD initrd.img
  APPEND console=tty0 console=ttyS0,115200 quiet net.ifnames=0 mitigations=off no_timer_check random.trust_cpu=on cryptomgr.notests panic=10
CONFIG
    touch -d "@$SOURCE_DATE_EPOCH" "${files[@]}"
    bytes=$(cat "${files[@]}" | wc -c)
    boot_mib=$((bytes / 1048576 + 2))
    [ $boot_mib -ge 17 ] || boot_mib=17 # FAT16 has no fewer clusters
    truncate -s ${boot_mib}M "$work/boot"
    mkfs.fat -F 16 -s 8 -h 2048 -i 4d616c64 -n MALDON --invariant "$work/boot" >/dev/null
    syslinux --install "$work/boot"
    mcopy -m -i "$work/boot" "${files[@]}" ::/
}

make_root_partition() { # by name, so that the order in which this machine lists its files does not matter
    root_mib=$(($(du -sm --apparent-size "$root" | cut -f1) + 8))
    truncate -s ${root_mib}M "$work/ext4"
    # room in the group table to grow to 1 TiB while mounted
    mke2fs -q -t ext4 -L maldon-root -b 4096 -m 0 -i 16384 -I 256 -J size=4 -O ^64bit -U 6d616c64-6f6e-4000-8000-000000000001 \
        -E hash_seed=6d616c64-6f6e-4000-8000-000000000002,lazy_itable_init=0,root_owner=0:0,resize=268435456 "$work/ext4"
    find "$root" -mindepth 1 -printf '%y %m %P\t%l\n' | sort -k3 | debugfs_commands "$root" >"$work/commands"
    debugfs -w -f "$work/commands" "$work/ext4" >"$work/debugfs.log" 2>&1
    ! grep -v '^debugfs\|^Allocated inode' "$work/debugfs.log" | grep . || exit 1
}

debugfs_commands() { # TREE; reads: type, octal mode, name, tab, target of a link
    awk -v tree="$1" -F '\t' '
        { split($1, word, " "); name = "/" word[3]; mode = word[2] }
        word[1] == "d" { print "mkdir " name; kind = "04" }
        word[1] == "f" { print "write " tree name " " name; kind = "010" }
        word[1] == "l" { print "symlink " name " " $2; next }
        { print "sif " name " mode " kind sprintf("%04d", mode) }
        name == "/home/maldon" { print "sif " name " uid 1000"; print "sif " name " gid 1000" }'
}

make_disk() {
    local disk=$work/disk.raw root_at=$((1 + boot_mib))
    truncate -s $((root_at + root_mib))M "$disk"
    sfdisk -q "$disk" <<TABLE
label: dos
label-id: 0x4d616c64
start=1MiB, size=${boot_mib}MiB, type=e, bootable
start=${root_at}MiB, size=${root_mib}MiB, type=83
TABLE
    dd if=/usr/lib/syslinux/mbr/mbr.bin of="$disk" bs=440 count=1 conv=notrunc status=none
    dd if="$work/boot" of="$disk" bs=1M seek=1 conv=notrunc,sparse status=none
    dd if="$work/ext4" of="$disk" bs=1M seek=$root_at conv=notrunc,sparse status=none
    qemu-img convert -q -f raw -O qcow2 -c "$disk" "$work/disk.qcow2"
}

main
