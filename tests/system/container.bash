# Real systemd in a container: trees bootstrapped once, booted copies, commands inside.

packages=systemd,systemd-sysv,dbus,iproute2,curl,procps,ca-certificates,logrotate
mirror=${BWS_DEBIAN_MIRROR:-http://deb.debian.org/debian}
cache=${BWS_TEST_CACHE:-/var/cache/bws-tests}

# tree RELEASE: makes sure that there is one in the cache.
tree() {
    local release=$1
    [ -e "$cache/$release/usr/bin/systemctl" ] && return
    mkdir -p "$cache"
    # Several runs may want the same one.
    exec 8>"$cache/$release.lock"
    flock 8
    if [ ! -e "$cache/$release/usr/bin/systemctl" ]; then
        rm -rf "$cache/$release.part"
        debootstrap --variant=minbase --include="$packages" "$release" "$cache/$release.part" "$mirror" \
            >"$cache/$release.log" 2>&1 && mv "$cache/$release.part" "$cache/$release"
    fi
    local status=$?
    exec 8>&-
    return $status
}

# Whether containers can be started at all, with a network of their own (which takes CAP_NET_ADMIN here).
can_boot() {
    systemd-nspawn --quiet -D "$1" --read-only --machine "bws-probe-$$" --register=no --keep-unit --private-network \
        ip link set lo up </dev/null 2>/dev/null
}

root=
nspawn=
leader=

# container RELEASE: a fresh copy of the tree, booted.
container() {
    root=$work/$1
    cp -a --reflink=auto "$cache/$1" "$root"
    # The package shall start its services.
    rm -f "$root/usr/sbin/policy-rc.d"
    boot
}

boot() {
    SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 setsid systemd-nspawn --quiet -D "$root" --boot \
        --machine "bws-test-$$" --console=pipe --register=no --keep-unit --private-network \
        </dev/null >>"$root.console" 2>&1 &
    nspawn=$!
    leader=
    await 60 is_booted
}

is_booted() { has_leader && is_up; }

# The first child of nspawn lives for a moment only, in the namespaces of this machine: wait for the container's PID 1.
has_leader() {
    local child
    for child in $(pgrep -P "$nspawn"); do
        if grep -Eq '^NSpid:.*[[:space:]]1$' "/proc/$child/status" 2>/dev/null; then
            leader=$child
            return 0
        fi
    done
    leader=
    return 1
}

# "degraded": a unit of the distribution that cannot work in a container is none of our business.
is_up() { inside systemctl is-system-running 2>/dev/null | grep -E '^(running|degraded)$' >/dev/null; }

inside() { nsenter -t "${leader:?no container}" -a -- "$@"; }

# A program of this machine in the network of the container.
beside() { nsenter -t "$leader" -n -- "$@"; }

# write PATH: standard input becomes a file of the container.
write() {
    mkdir -p "$(dirname "$root$1")"
    cat >"$root$1"
}

power_off() {
    [ -n "$nspawn" ] || return 0
    # What 'systemctl poweroff' asks of PID 1 (systemd(1)).
    [ -z "$leader" ] || kill -s RTMIN+4 "$leader"
    if ! await 20 has_ended; then
        kill -KILL ${leader:+"$leader"} "$nspawn" 2>/dev/null
        await 5 has_ended
    fi
    wait "$nspawn" 2>/dev/null
    nspawn=
    leader=
}

has_ended() { ! kill -0 "$nspawn" 2>/dev/null; }

# await SECONDS COMMAND…: until it succeeds.
await() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.1
    done
}
