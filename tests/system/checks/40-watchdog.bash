# Issue: the watchdog means something.

worker_is_replaced() {
    local old
    old=$(workers | head -1)
    inside kill -STOP "$old"
    replaced() { ! workers | grep -qx "$old" && [ -n "$(workers)" ]; }
    await 60 replaced
    default_page
}
master_is_restarted() {
    local old
    mkdir -p "$root/etc/systemd/system/bws.service.d"
    printf '[Service]\nWatchdogSec=3\n' | write /etc/systemd/system/bws.service.d/watchdog.conf
    inside systemctl daemon-reload
    inside systemctl restart bws
    old=$(master)
    inside kill -STOP "$old"
    # This one arrives while nobody takes it; workers may answer still, the sockets keep what they do not.
    restarted() { default_page || return 2; [ "$(master)" != "$old" ] && [ "$(master)" != 0 ]; }
    await 30 restarted
    default_page
    rm "$root/etc/systemd/system/bws.service.d/watchdog.conf"
    inside systemctl daemon-reload
    inside systemctl restart bws
}
killed_master() {
    local old
    old=$(master)
    inside kill -KILL "$old"
    default_page
    back() { [ "$(master)" != "$old" ] && [ "$(property ActiveState)" = active ]; }
    await 10 back
    default_page
}
broken_start() {
    local answer=$work/answer request
    cp "$root/etc/bws/config.toml" "$work/config.toml"
    echo 'no = "such key"' >>"$root/etc/bws/config.toml"
    if inside systemctl restart bws; then return 1; fi
    # It waits in the socket.
    inside curl -sS --max-time 20 http://127.0.0.1:8080/ >"$answer" &
    request=$!
    sleep 3
    [ "$(property ActiveState bws.socket)" = active ]
    cp "$work/config.toml" "$root/etc/bws/config.toml"
    wait $request
    grep 'BWS works' "$answer"
    [ "$(property NRestarts)" -ge 2 ]
}

if heartbeats; then
    check 'a stopped worker is replaced by the master' worker_is_replaced
else
    skip 'a stopped worker is replaced by the master' 'this version has no heartbeats'
fi
check 'a stopped master: the watchdog restarts it, connections wait' master_is_restarted
check 'a broken start: the socket keeps who comes, a repaired file serves them' broken_start
check 'a killed master: nobody is refused' killed_master
