# Issue: the configuration says where to listen.

new_port() {
    site later 8444 'port 8444'
    inside systemctl reload bws
    [ "$(page later 8444)" = 'port 8444' ]
}
# listens NAME ADDRESS: a site on it.
listens() {
    site "$1" 1 "on $2"
    sed -i "s#^port = 1\$#listen = \"$2\"#" "$root/etc/bws/sites.d/$1.toml"
}
all_kinds_of_listeners() {
    [ "$(get -g -H 'Host: later.test' 'http://[::1]:8444/')" = 'port 8444' ]
    listens four 127.0.0.2:8666
    listens six '[::1]:8666'
    listens local unix:/run/bws/site.sock
    inside systemctl reload bws
    [ "$(get -H 'Host: four.test' http://127.0.0.2:8666/)" = 'on 127.0.0.2:8666' ]
    [ "$(get -g -H 'Host: six.test' 'http://[::1]:8666/')" = 'on [::1]:8666' ]
    [ "$(get --unix-socket /run/bws/site.sock http://local.test/)" = 'on unix:/run/bws/site.sock' ]
    [ "$(inside stat -c %a /run/bws/site.sock)" = 666 ]
    if get -o /dev/null http://127.0.0.1:8666/; then return 1; fi
    rm "$root"/etc/bws/sites.d/four.toml
    inside systemctl reload bws
    if get -o /dev/null http://127.0.0.2:8666/; then return 1; fi
}
privileged_port() {
    site low 81 'port 81'
    inside systemctl reload bws
    [ "$(page low 81)" = 'port 81' ]
    inside systemctl restart bws
    [ "$(page low 81)" = 'port 81' ]
    inside kill -KILL "$(master)"
    [ "$(page low 81)" = 'port 81' ]
    await 10 is_active
    [ "$(page low 81)" = 'port 81' ]
}
privileged_port_is_explained() {
    local status=0
    site low 81 'port 81'
    inside systemctl reload bws || status=$?
    inside systemctl status --no-pager -l -n 20 bws || true
    journal -n 20 | grep 'systemctl enable bws@81.socket && systemctl restart bws'
    rm "$root/etc/bws/sites.d/low.toml"
    [ "$status" != 0 ] && [ "$(page later 8444)" = 'port 8444' ]
}
# By the book, and as the message says.
socket_unit() {
    site unit 82 'port 82'
    inside systemctl --quiet enable bws@82.socket && inside systemctl restart bws
    [ "$(page unit 82)" = 'port 82' ]
}
taken_port() {
    local status=0
    inside systemd-run --quiet --unit thief bws /srv/later --port 8555
    await 10 get -o /dev/null http://127.0.0.1:8555/
    site taken 8555 x
    inside systemctl reload bws || status=$?
    inside systemctl status --no-pager -l -n 20 bws | grep -E '8555.*taken' || status=0
    rm "$root/etc/bws/sites.d/taken.toml"
    inside systemctl stop thief
    [ "$status" != 0 ] && [ "$(page later 8444)" = 'port 8444' ]
    inside systemctl reload bws
}
is_active() { [ "$(property ActiveState)" = active ]; }
low_port_serves() { [ "$(page low 81)" = 'port 81' ]; }
after_reboot() {
    await 20 default_page
    [ "$(page unit 82)" = 'port 82' ]
    if helper; then await 10 low_port_serves; fi
    [ "$(page later 8444)" = 'port 8444' ]
}

check 'a new port serves after a reload' new_port
check 'both families, single addresses and a Unix socket; what leaves the configuration is closed' all_kinds_of_listeners
if helper; then
    check 'so does port 81, over restart and kill -9' privileged_port
else
    check 'port 81: the reload fails and says what to run' privileged_port_is_explained
    skip 'port 81 serves after a reload' 'this version has no helper for ports'
fi
check 'bws@82.socket opens port 82' socket_unit
check 'a taken port: exit 1, and the reason' taken_port
power_off
boot
check 'all ports serve after a reboot' after_reboot
