# shellcheck shell=bash
# Starting QEMU, watching it, and what it says about how the command ended.

# Sets ACCEL. /dev/kvm may exist and still not carry a guest: trust it only after one booted, and
# remember the answer until this machine's next boot.
choose_accel()
{
	local answer

	ACCEL=tcg
	if [[ $ICOUNT == yes || ! -w /dev/kvm ]]; then
		return
	fi
	answer=$(kvm_answer)
	lock kvm exclusive
	if [[ ! -e $answer ]]; then
		rm -f "$CACHE"/kvm-*
		# QEMU may crash over it, which the shell would report.
		if kvm_boots 2>/dev/null; then
			echo kvm >"$answer.new"
		else
			echo tcg >"$answer.new"
		fi
		mv "$answer.new" "$answer"
	fi
	unlock
	ACCEL=$(<"$answer")
}

kvm_boots()
{
	local dir=$TMP/probe

	mkdir -p "$dir/bin"
	cp "$BASE/root/bin/busybox" "$dir/bin/"
	cat >"$dir/init" <<-'EOF'
		#!/bin/busybox sh
		/bin/busybox mkdir /proc
		/bin/busybox mount -t proc proc /proc
		/bin/busybox echo the guest is up
		/bin/busybox echo b >/proc/sysrq-trigger
	EOF
	chmod +x "$dir/init"
	pack_initrd "$dir" >"$TMP/probe.cpio"
	timeout -k 1 20 qemu-system-x86_64 -accel kvm -cpu host -smp 2 -m 512M -nodefaults \
		-no-user-config -display none -no-reboot -kernel "$BASE/vmlinuz" \
		-initrd "$TMP/probe.cpio" -append "console=ttyS0 quiet panic=-1" \
		-serial "file:$TMP/probe.log" </dev/null >/dev/null 2>&1 || return 1
	grep -q "the guest is up" "$TMP/probe.log"
}

# What differs from run to run reaches the guest as a last layer of its initramfs.
make_initrd()
{
	local dir=$TMP/guest

	mkdir -p "$dir/dcb"
	cp "$VM_DIR/guest/initramfs-init" "$dir/init"
	cp "$VM_DIR/guest/init" "$dir/dcb/init"
	printf '%s\0' "${COMMAND[@]}" >"$dir/dcb/argv"
	cat >"$dir/dcb/settings" <<-EOF
		DCB_KERNEL=$KERNEL
		DCB_FLAVOUR=$FLAVOUR
		DCB_CLOCK=$([[ $ICOUNT == yes ]] && echo instructions || echo wall)
		MERGE_OUTPUT=$MERGE_OUTPUT
	EOF
	pack_initrd "$dir" >"$TMP/run.cpio"
	BOOT_KERNEL=$BASE/vmlinuz
	BOOT_INITRD=$TMP/initramfs
	BOOT_ROOT=$BASE/root.ext4
	cat "$BASE/initrd.cpio" "$TMP/layer.cpio" "$TMP/run.cpio" >"$BOOT_INITRD"
}

# A copy, since the cloud kernels share no directories. The cache is hidden: it may be inside DIR.
make_share()
{
	local try

	export SHARE CACHE TMP
	for try in 1 2 3; do
		# shellcheck disable=SC2016 # the inner shell expands them
		if isolated bash -euc '
			mkdir -p "$TMP/view"
			mount --rbind "$SHARE" "$TMP/view"
			case $CACHE/ in
			"$SHARE"/*) mount -t tmpfs none "$TMP/view/${CACHE#"$SHARE"}" ;;
			esac
			kib=$(du -sk --apparent-size "$TMP/view" | cut -f1)
			files=$(find "$TMP/view" | wc -l)
			truncate -s $((kib * 5 / 4 + files * 5 + 16384))K "$TMP/share.ext4"
			mke2fs -q -F -t ext4 -O ^has_journal -m 0 -N $((files + 1000)) \
				-d "$TMP/view" "$TMP/share.ext4"
		' 2>"$TMP/share.log"; then
			return
		fi
		# Files that come and go meanwhile disturb the copy; a second look usually succeeds.
		rm -f "$TMP/share.ext4"
	done
	cat "$TMP/share.log" >&2
	harness_error "could not copy $SHARE for the guest (tried $try times)"
}

# add_disk FILE SERIAL SLOT OPTIONS: the slot decides the name, since the guest probes in its order.
add_disk()
{
	QEMU+=(
		-drive "if=none,id=$2,format=raw,cache=unsafe,file=${1//,/,,}$4"
		-device "virtio-blk-pci,drive=$2,serial=$2,addr=$3"
	)
}

# BOOT_KERNEL and BOOT_INITRD are what is booted, BOOT_ROOT the image of its root if it is one of a
# kernel's base.
compose_qemu()
{
	local arguments="console=ttyS0 ignore_loglevel printk.devkmsg=on panic=-1 oops=panic"
	# On a busy machine an emulated processor can stand still for minutes: that alone is no fault.
	# A lock-up is told of after twice the threshold; 60 is the largest there is.
	arguments+=" rcupdate.rcu_cpu_stall_timeout=300 sysctl.kernel.watchdog_thresh=60"
	local cpu=max hung=300 number=0 sockets='' disk

	case ${FLAVOUR-} in
	debug | kcsan) hung=480 ;;
	esac
	arguments+=" sysctl.kernel.hung_task_timeout_secs=$hung"
	if [[ ${SOURCE-} ]]; then
		# The firmware's MP table, which kernels without ACPI go by, has one processor of each
		# socket. They shall share work as if they were in one.
		sockets=,sockets=$SMP
		arguments+=" workqueue.default_affinity_scope=system"
	fi
	QEMU=(
		qemu-system-x86_64 -name "dm-crypt-bulk-$ROW"
		-machine pc -nodefaults -no-user-config -display none -no-reboot
		-smp "$SMP$sockets" -m "$MEM" -kernel "$BOOT_KERNEL" -initrd "$BOOT_INITRD"
		-serial "file:$TMP/console"
	)
	case $ACCEL in
	kvm)
		cpu=host
		;;
	tcg)
		# On a busy machine the guest's timer comes too late for the kernel's check of it. All
		# CPUs have one TSC, which the kernel does not believe: it would take the HPET, and to
		# read that costs as much as a system call.
		arguments+=" no_timer_check tsc=reliable"
		if [[ $ICOUNT == yes ]]; then
			# One tick an instruction while there are any, and this machine's time while
			# there are none: with sleep=off an idle guest that waits for a disk leaps
			# through its kernel's time-outs.
			QEMU+=(-icount "shift=0,sleep=on")
			# Without the string features the kernel copies with loops, which count as
			# what they are, and not with rep.
			cpu=max,-erms,-fsrm
			arguments+=" mitigations=off"
		fi
		;;
	esac
	QEMU+=(-accel "$ACCEL" -cpu "$cpu")

	# Without ioeventfd a write has reached the host's file by the time it returns in the guest,
	# so nothing is lost when the guest goes down right after it.
	QEMU+=(
		-device "virtio-serial-pci,addr=3,ioeventfd=off"
		-chardev "file,id=out,path=$TMP/out"
		-chardev "file,id=err,path=$TMP/err"
		-chardev "pipe,id=ctl,path=$TMP/ctl"
		-device "virtserialport,chardev=out,name=dcb-out"
		-device "virtserialport,chardev=err,name=dcb-err"
		-device "virtserialport,chardev=ctl,name=dcb-ctl"
	)

	for disk in "${DISKS[@]}"; do
		if [[ $disk != */* ]]; then
			truncate -s "$disk" "$TMP/disk$number"
			disk=$TMP/disk$number
		fi
		add_disk "$disk" "test-disk$number" "$(printf %#x $((number + 4)))" ,discard=unmap
		((++number))
	done
	if [[ $NVME ]]; then
		local sectors=logical_block_size=4096,physical_block_size=4096,ms=${NVME#*:}

		truncate -s "${NVME%:*}" "$TMP/nvme"
		QEMU+=(
			-drive "if=none,id=test-nvme,format=raw,cache=unsafe,file=$TMP/nvme"
			-device "nvme,serial=test-nvme,addr=0x1d"
			-device "nvme-ns,drive=test-nvme,$sectors"
		)
	fi
	if [[ $BOOT_ROOT ]]; then
		add_disk "$BOOT_ROOT" dcb-root 0x1e ,readonly=on
	fi
	if [[ $SHARE ]]; then
		add_disk "$TMP/share.ext4" dcb-share 0x1f ,readonly=on
	fi
	QEMU+=(-append "$arguments $APPEND")
}

# Seconds after which a guest that has not come up is taken for one that hangs, and booted again.
readonly BOOT_LIMIT=${BOOT_LIMIT:-400}

# What the guest has said of COMMAND so far
read_answers()
{
	local answer

	while read -r -t 0.1 answer <&"$ctl_out"; do
		case $answer in
		started) STARTED=yes ;;
		exit\ *) VERDICT=${answer#exit } ;;
		esac
	done
}

# shellcheck disable=SC2153,SC2034 # run sets TIMEOUT, and reads VERDICT
# Runs the VM to its end. Sets STARTED (whether the command was), TIMED_OUT (yes or no), and VERDICT
# to the command's status or nothing.
run_vm()
{
	local qemu timer boot ended tails=() answer

	STARTED=no TIMED_OUT=no VERDICT=
	rm -f "$TMP"/ctl.* "$TMP/console"
	: >"$TMP/out"
	: >"$TMP/err"
	mkfifo "$TMP/ctl.in" "$TMP/ctl.out"
	# Opened for both directions, so that neither side waits for the other.
	exec {ctl_in}<>"$TMP/ctl.in" {ctl_out}<>"$TMP/ctl.out"

	setpriv --pdeathsig KILL "${QEMU[@]}" </dev/null >"$TMP/qemu.log" 2>&1 &
	qemu=$!
	CHILDREN+=("$qemu")
	# Plain files and not pipes: a slow reader cannot stall the guest.
	tail -c +1 -s 0.1 -f --pid="$qemu" "$TMP/out" 2>/dev/null &
	tails+=($!)
	tail -c +1 -s 0.1 -f --pid="$qemu" "$TMP/err" >&2 2>/dev/null &
	tails+=($!)
	sleep "$TIMEOUT" &
	timer=$!
	sleep "$BOOT_LIMIT" &
	boot=$!
	CHILDREN+=("${tails[@]}" "$timer" "$boot")

	wait -n -p ended "$qemu" "$timer" "$boot" || true
	if [[ $ended == "$boot" ]]; then
		read_answers
		[[ $STARTED == yes ]] || kill -KILL "$qemu"
		wait -n -p ended "$qemu" "$timer" || true
	else
		kill "$boot"
	fi
	if [[ $ended == "$timer" ]]; then
		TIMED_OUT=yes
		# Ask the guest where it hangs; one that cannot answer is not waited for long.
		echo "time ran out after $TIMEOUT s" >&"$ctl_in"
		while read -r -t 5 answer <&"$ctl_out" && [[ $answer != dumped ]]; do
			[[ $answer != started ]] || STARTED=yes
		done
		kill -KILL "$qemu"
	else
		kill "$timer"
	fi
	wait "$qemu" "${tails[@]}" 2>/dev/null || true
	CHILDREN=()

	[[ $TIMED_OUT == yes ]] || read_answers
	exec {ctl_in}>&- {ctl_out}>&-
	tr -d '\r' <"$TMP/console" >"$TMP/kernel.log" 2>/dev/null || true
}

# As run_vm. An emulated processor does not keep every promise that a kernel patching its own code
# relies on, so that now and then one dies while booting. The command has not run then, nor a module
# been loaded, and it is booted again: boot_vm PATTERN, but not when PATTERN, unless it is empty, is
# in the kernel's log.
boot_vm()
{
	local try

	for try in 1 2 3; do
		run_vm
		if [[ $STARTED == yes || $TIMED_OUT == yes || ! -s $TMP/kernel.log ]] ||
				{ [[ $1 ]] && grep -q "$1" "$TMP/kernel.log"; }; then
			break
		fi
		if ((try < 3)); then
			say "the guest went down while booting; trying again. It had said:"
			tail -n 5 "$TMP/kernel.log" >&2
		fi
	done
}

keep_log()
{
	local kept=$CACHE/logs/kernel-$ROW-$$.log

	cp "$TMP/kernel.log" "$kept"
	say "the kernel's whole log: $kept"
	keep_newest 30 "$CACHE"/logs/kernel-*
}

# Exits as the run went. A report of the kernel explains the rest, so it goes first.
conclude()
{
	if awk -f "$VM_DIR/lib/splats.awk" "$TMP/kernel.log" >"$TMP/report"; then
		say "the guest's kernel reported a fault" \
			"(COMMAND $(describe_end)); the log from there on:"
		cat "$TMP/report" >&2
		keep_log
		exit "$EXIT_SPLAT"
	elif [[ $TIMED_OUT == yes ]]; then
		say "time ran out after $TIMEOUT s; the end of the kernel's log:"
		tail -n 60 "$TMP/kernel.log" >&2
		keep_log
		exit "$EXIT_TIMEOUT"
	elif [[ -z $VERDICT ]]; then
		say "the VM went down before COMMAND had ended; the end of the kernel's log:"
		tail -n 30 "$TMP/kernel.log" >&2
		cat "$TMP/qemu.log" >&2
		keep_log
		exit "$EXIT_HARNESS"
	fi
	exit "$VERDICT"
}

describe_end()
{
	if [[ $TIMED_OUT == yes ]]; then
		echo "ran out of time after $TIMEOUT s"
	elif [[ $VERDICT ]]; then
		echo "exited with $VERDICT"
	else
		echo "did not end"
	fi
}
