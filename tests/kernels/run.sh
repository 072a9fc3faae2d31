#!/usr/bin/env bash
# The namespace tests on a kernel of Debian's packages, in a virtual machine. README.md beside this says how and what for.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
cd "$here/../.."

usage() {
  cat <<'TEXT'
usage: tests/kernels/run.sh [--kernel PACKAGE|FOLDER] [--only NAME]... [--clock virtual|real] [--minutes N]
                            [--all] [--command COMMAND | PYTEST ARGUMENT...]

  --kernel PACKAGE|FOLDER  a package of Debian's, fetched and unpacked, never installed (default linux-image-cloud-amd64),
                           or a folder with boot/vmlinuz-* and lib/modules/*
  --only NAME              only tests/netns/test_NAME.py; may be repeated
  --clock virtual|real     what time is in the machine where its processor is emulated: by instructions executed
                           (default; one processor, no test is ever too slow), or the wall's (two processors)
  --all                    every case of every test (hours where the processor is emulated), else one of each test
  --minutes N              the whole run ends after that (default 90)
  --command COMMAND        runs this there, by bash in this folder, in place of the tests; the exit code is its own

What else is given goes to pytest: -m smoke, -k NAME, -x. The engine is that of NFSTEER_BIN, else
build/release/engine/nfsteer. The last line is "N passed, N failed, N skipped on Linux VERSION"; exit 0 only if none failed.
TEXT
}

die() { echo "kernels/run.sh: $*" >&2; exit "${2:-1}"; }

kernel=linux-image-cloud-amd64 minutes=90 clock=virtual command='' all='' tests_named='' only=() arguments=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --kernel) kernel=${2:?--kernel needs a package or a folder}; shift ;;
    --only)
      [[ -f tests/netns/test_${2:-}.py ]] || die "--only: there is no tests/netns/test_${2:-}.py" 2
      only+=("tests/netns/test_$2.py")
      shift ;;
    --clock) [[ ${2:-} == virtual || ${2:-} == real ]] || die "--clock is virtual or real" 2; clock=$2; shift ;;
    --minutes) [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || die "--minutes needs a whole number" 2; minutes=$2; shift ;;
    --all) all=1 ;;
    --command) command=${2:?--command needs a command}; shift ;;
    -h | --help) usage; exit 0 ;;
    *)
      [[ ! -e ${1%%::*} ]] || tests_named=1
      arguments+=("$1") ;;
  esac
  shift
done
[[ $(uname -m) == x86_64 ]] || die "the machine it makes is an x86-64 one, with this host's files; this host is $(uname -m)"
[[ $(id -u) -eq 0 ]] || die "needs root to share this host's files; run: sudo tests/kernels/run.sh"
for program in qemu-system-x86_64 busybox cpio depmod; do
  command -v "$program" >/dev/null || die "needs $program; run: docker/install.sh kernels"
done
virtiofsd=/usr/lib/qemu/virtiofsd
[[ -x $virtiofsd ]] || die "needs $virtiofsd; run: docker/install.sh kernels"
export NFSTEER_BIN=${NFSTEER_BIN:-$PWD/build/release/engine/nfsteer}
[[ -n $command || -x $NFSTEER_BIN ]] || die "$NFSTEER_BIN does not exist; build it or set NFSTEER_BIN"

work=$PWD/build/kernels
mkdir -p "$work"
run=$(mktemp -d "$work/run-XXXXXX")  # this run's files
children=()
end() {
  trap - EXIT
  for child in "${children[@]}"; do
    kill "$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
  done
  cp "$run/console" "$work/last-console.log" 2>/dev/null || true
  cp "$run/output" "$work/last-output.log" 2>/dev/null || true
  rm -rf "$run"
}
trap end EXIT
trap 'exit 130' INT TERM HUP

# ---- the kernel

fetch() {  # PACKAGE; prints the folder that holds it
  local package=$1 image folder
  # A package without a number in its name only depends on the current one.
  image=$(apt-cache depends --important "$package" 2>/dev/null |
          awk '$1 == "Depends:" && $2 ~ /^linux-image-[0-9]/ { print $2; exit }')
  image=${image:-$package}
  folder=$(apt-cache show --no-all-versions "$image" 2>/dev/null | awk '$1 == "Version:" { print $2; exit }')
  [[ -n $folder ]] || die "apt knows no package $package; run apt-get update, or name another with --kernel"
  folder=$work/cache/${image}_${folder//:/%3a}
  if [[ ! -d $folder ]]; then
    echo "fetching $image" >&2
    mkdir -p "$folder.new"
    (cd "$folder.new" && apt-get download -q "$image" >"$run/download" 2>&1 && dpkg-deb -x ./*.deb . && rm ./*.deb) ||
      { tail -n 5 "$run/download" >&2; rm -rf "$folder.new"; die "$image could not be fetched"; }
    mv "$folder.new" "$folder"
  fi
  echo "$folder"
}

if [[ -d $kernel ]]; then folder=$(readlink -f "$kernel"); else folder=$(fetch "$kernel"); fi
images=("$folder"/boot/vmlinuz-*)
[[ -f ${images[0]} ]] || die "$folder has no boot/vmlinuz-*"
version=${images[0]##*/vmlinuz-}
# Debian 12 has /lib in /usr; a package need not.
modules=$folder/lib/modules/$version
[[ -d $modules ]] || modules=$folder/usr/lib/modules/$version
[[ -d $modules ]] || die "$folder has no lib/modules/$version"
if [[ ! -f $modules/modules.dep ]]; then depmod -b "${modules%/lib/modules/*}" "$version"; fi

# ---- the first files: what it takes to reach this host's

# Modules by file name, in the order of their need.
first_modules() {
  local name
  for name in virtio_pci virtiofs overlay virtio_console; do
    modprobe --show-depends --ignore-install -d "${modules%/lib/modules/*}" -S "$version" "$name" |
      awk '$1 == "insmod" { print $2 }'
  done | awk '!seen[$0]++'
}

tree=$run/initramfs
mkdir -p "$tree"/{bin,modules,proc,sys,dev,host,over,new}
cp "$(command -v busybox)" "$tree/bin/busybox"
cp "$here/init.sh" "$tree/init"
chmod 755 "$tree/init"
number=100
while read -r file; do
  case $file in
    *.xz) xz -dc "$file" >"$tree/modules/$number.ko" ;;
    *.zst) zstd -qdc "$file" >"$tree/modules/$number.ko" ;;
    *) cp "$file" "$tree/modules/$number.ko" ;;
  esac
  number=$((number + 1))
done < <(first_modules)
(cd "$tree" && find . | cpio -o -H newc --quiet) >"$run/initramfs.cpio"

# ---- what it runs

{
  printf 'cd %q\nexport NFSTEER_BIN=%q NFSTEER_KERNEL_GUEST=1 PYTHONDONTWRITEBYTECODE=1\n' "$PWD" "$NFSTEER_BIN"
  printf 'export PYTHONPATH=%q NFSTEER_KERNEL_ALL=%q\n' "$here" "$all"
  printf '[[ -z %q ]] || export NFSTEER_TEST_SEED=%q\n' "${NFSTEER_TEST_SEED:-}" "${NFSTEER_TEST_SEED:-}"
  if [[ -n $command ]]; then
    printf '%s\n' "$command"
  else
    [[ ${#only[@]} -gt 0 || -n $tests_named ]] || only=(tests/netns)
    printf '/usr/bin/python3 -m pytest -p no:cacheprovider -p selection -ra -v --junitxml=/run/results.xml'
    printf ' %q' "${arguments[@]}" "${only[@]}"
    printf '\n'
  fi
} >"$run/command"

# ---- the machine

emulated=yes
# A host that only claims to have KVM, without the processor's help, is slower than emulation.
if [[ -w /dev/kvm ]] && grep -qwE 'vmx|svm' /proc/cpuinfo; then emulated=no; fi
boot=()
if [[ $emulated == yes ]]; then boot=(lpj=4000000); fi  # an emulated clock cannot be measured by an emulated processor
# shellcheck disable=SC2054  # the commas are QEMU's
if [[ $emulated == no ]]; then
  processor=(-accel kvm -cpu host -smp 2)
elif [[ $clock == virtual ]]; then
  # One instruction is one nanosecond, and waiting takes as long as it takes.
  processor=(-accel tcg,thread=single -icount shift=0,sleep=on -cpu max -smp 1)
else
  processor=(-accel tcg,thread=multi -cpu max -smp 2)
fi

"$virtiofsd" --socket-path="$run/files" -o source=/ -o cache=always -o sandbox=chroot -o xattr >"$run/virtiofsd" 2>&1 &
children+=($!)
for _ in {1..100}; do [[ ! -S $run/files ]] || break; sleep 0.1; done
[[ -S $run/files ]] || { cat "$run/virtiofsd" >&2; die "virtiofsd shares nothing"; }

# For init.sh, whose reader knows no quotes.
words=("nfsteer.guest=$here/guest.sh" "nfsteer.command=$run/command" "nfsteer.modules=$modules")
[[ "${words[*]}" != *[[:space:]]*[[:space:]]*[[:space:]]* ]] || die "a path without spaces is needed: $PWD, $folder"

echo "Linux $version on $([[ $emulated == no ]] && echo KVM || echo "an emulated processor, $clock clock")"
touch "$run/output" "$run/console"
qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot -machine q35 "${processor[@]}" \
  -m 3072 -object memory-backend-memfd,id=memory,size=3072M,share=on -numa node,memdev=memory \
  -kernel "${images[0]}" -initrd "$run/initramfs.cpio" \
  -append "console=ttyS0 panic=-1 edd=off quiet mitigations=off ${boot[*]} ${words[*]}" \
  -chardev file,id=console,path="$run/console" -serial chardev:console \
  -chardev socket,id=files,path="$run/files" -device vhost-user-fs-pci,chardev=files,tag=host \
  -device virtio-serial-pci -chardev file,id=output,path="$run/output" -device virtserialport,chardev=output,name=output \
  -chardev file,id=results,path="$run/results" -device virtserialport,chardev=results,name=results \
  </dev/null >"$run/qemu" 2>&1 &
machine=$!
children=("$machine" "${children[@]}")
tail -n +1 -f --pid="$machine" "$run/output" &
children+=($!)
follower=$!

deadline=$((SECONDS + 60 * minutes)) ended=''
while kill -0 "$machine" 2>/dev/null; do
  if [[ $SECONDS -ge $deadline ]]; then
    ended=1
    kill "$machine"
  fi
  sleep 0.3
done
wait "$machine" || { cat "$run/qemu" >&2; }
wait "$follower" 2>/dev/null || true

# ---- what came out

if [[ -n $ended ]]; then
  said() { grep -c " $1 " "$run/output" || true; }
  [[ -n $command ]] || echo "$(said PASSED) passed, $(said FAILED) failed, $(said SKIPPED) skipped on Linux $version until then"
  die "not done after $minutes minutes"
fi
[[ -s $run/results ]] || { tail -n 40 "$run/console" >&2; die "the machine ended without results (above: its console)"; }
tar -xf "$run/results" -C "$run" exit version 2>/dev/null || { tail -n 40 "$run/console" >&2; die "no results"; }
status=$(<"$run/exit") version=$(<"$run/version")
if [[ -n $command ]]; then
  echo "exit $status on Linux $version, in $SECONDS s"
  exit "$status"
fi
tar -xf "$run/results" -C "$run" results.xml 2>/dev/null || die "pytest ended with $status and left no results"
cp "$run/results.xml" "$work/results.xml"
read -ra counts <<<"$(/usr/bin/python3 tests/support/junit.py "$run/results.xml" | sed -n 1p)"
[[ $status -eq 0 || ${counts[1]} -gt 0 ]] || die "pytest ended with $status"
echo "in $SECONDS s; details in build/kernels/results.xml"
echo "${counts[0]} passed, ${counts[1]} failed, ${counts[2]} skipped on Linux $version"
[[ ${counts[1]} -eq 0 ]]
