# Issue: an upgrade is a reload, and purge leaves nothing behind.

upgrade() {
    inside env DEBIAN_FRONTEND=noninteractive apt-get install -qy -o Dpkg::Options::=--force-confold /root/next.deb
}
# around_tunnels COMMAND…: with tunnels that speak all the time; fails when one of them lost a byte.
around_tunnels() {
    local failed=0
    printf '[[sites]]\nname = "tunnels"\nhostname = "tunnels.test"\nport = 8080\n[sites.proxy]\nupstreams = [{ name = "up", url = "http://127.0.0.1:9099" }]\n' |
        write /etc/bws/sites.d/tunnels.toml
    inside systemctl reload bws
    mkfifo "$work/tunnels.end"
    beside "$load" tunnels 8080 tunnels.test 9099 <"$work/tunnels.end" >"$work/tunnels.report" 2>&1 &
    local clients=$!
    exec 7>"$work/tunnels.end"
    rm "$work/tunnels.end"
    "$@" || failed=1
    exec 7>&-
    wait "$clients" || failed=1
    cat "$work/tunnels.report"
    return $failed
}
upgrade_under_load() {
    local old status=0
    prepare_load
    cp "$next" "$root/root/next.deb"
    echo '# the hand of the administrator' >>"$root/etc/bws/config.toml"
    old=$(master)
    around_tunnels under_load upgrade || status=1
    [ "$status" = 0 ]
    [ "$(master)" = "$old" ]
    grep -q 'the hand of the administrator' "$root/etc/bws/config.toml"
    inside bws --version | grep -F "$next_version"
}
new_version_serves() {
    inside bws status
    inside bws status | grep -F "BWS $next_version"
}
stopped_stays_stopped() {
    inside systemctl stop bws.socket bws.service
    inside env DEBIAN_FRONTEND=noninteractive apt-get install -qy --reinstall /root/next.deb
    [ "$(property ActiveState)" = inactive ]
    inside systemctl start bws
}
removal_stops() {
    inside env DEBIAN_FRONTEND=noninteractive apt-get remove -qy bws
    if get -o /dev/null http://127.0.0.1:8080/; then return 1; fi
    [ -e "$root/etc/bws/config.toml" ]
}
purge_leaves_nothing() {
    # What the administrator put there would stay, and rightly so.
    find "$root/etc/bws" -type f -not -name config.toml -delete
    inside env DEBIAN_FRONTEND=noninteractive apt-get purge -qy bws
    inside systemctl reset-failed
    local left
    left=$(cd "$root" && find etc var/lib var/log var/cache run usr -xdev \( -name 'bws*' -o -path '*/bws/*' \) \
        -not -path 'var/cache/apt/*' -not -path 'var/log/apt/*' 2>/dev/null)
    echo "$left"
    [ -z "$left" ]
}

check 'an upgrade under load: nothing lost, same master, configuration kept' upgrade_under_load
if reexecutes; then
    check 'the new version runs' new_version_serves
else
    skip 'the new version runs' 'this version does not re-execute itself'
fi
check 'an upgrade leaves a stopped service stopped' stopped_stays_stopped
check 'removal stops it and keeps the configuration' removal_stops
check 'purge leaves nothing behind' purge_leaves_nothing
