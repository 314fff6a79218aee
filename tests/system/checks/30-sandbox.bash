# Issue: everything works in the sandbox that is shipped.

log_files() {
    write /etc/bws/config.toml <<<"$(sed 's/^output = "auto"/output = "file"/' "$root/etc/bws/config.toml")"
    inside systemctl reload bws
    await 5 test -s "$root/var/log/bws/bws.log"
    inside logrotate -f /etc/logrotate.d/bws
    [ -e "$root/var/log/bws/bws.log.1" ]
    inside systemctl reload bws
    await 5 grep -q 'eload' "$root/var/log/bws/bws.log"
    inside ls -l /var/log/bws
    write /etc/bws/config.toml <<<"$(sed 's/^output = "file"/output = "auto"/' "$root/etc/bws/config.toml")"
    inside systemctl reload bws
}
# Another BWS stands behind it, on a port and on a Unix socket.
start_upstream() {
    mkdir -p "$root/srv/behind"
    echo 'from behind' >"$root/srv/behind/index.html"
    write /srv/behind.toml <<'TOML'
[[sites]]
name = "port"
listen = "127.0.0.1:9000"
static_dir = "/srv/behind"
[[sites]]
name = "socket"
listen = "unix:/srv/behind.sock"
static_dir = "/srv/behind"
TOML
    inside systemd-run --quiet --unit behind --setenv RUNTIME_DIRECTORY=/srv bws --config /srv/behind.toml
    await 10 test -S "$root/srv/behind.sock"
    chmod 666 "$root/srv/behind.sock"
}
proxy() {
    local name=$1 url=$2
    printf '[[sites]]\nname = "%s"\nhostname = "%s.test"\nport = 8080\n[sites.proxy]\nenabled = true\nupstreams = [{ name = "up", url = "%s" }]\n' \
        "$name" "$name" "$url" | write "/etc/bws/sites.d/$name.toml"
}
proxies() {
    start_upstream
    proxy tcp http://127.0.0.1:9000
    proxy unix unix:/srv/behind.sock
    inside systemctl reload bws
    [ "$(page tcp)" = 'from behind' ]
    [ "$(page unix)" = 'from behind' ]
}
home_is_hidden() {
    local status=0
    site home 8080 x
    sed -i 's#/srv/home#/home/home#' "$root/etc/bws/sites.d/home.toml"
    mkdir -p "$root/home/home"
    inside systemctl reload bws || status=$?
    journal -n 20 | grep -F /home/home || status=0
    rm "$root/etc/bws/sites.d/home.toml"
    inside systemctl reload bws
    [ "$status" != 0 ]
}
keys_of_root() {
    prepare_load
    cp "$root/srv/load/site.key" "$root/etc/bws/tls/site.key"
    chmod 600 "$root/etc/bws/tls/site.key"
    sed -i 's#/srv/load/site.key#credential:tls_site.key#' "$root/etc/bws/sites.d/load.toml"
    # The credentials of a running service are those of its start.
    inside systemctl restart bws
    get -k --resolve localhost:8443:127.0.0.1 https://localhost:8443/small.bin -o /dev/null
    loaded_site 0
    inside systemctl reload bws
}
# A new pair: that the reload takes the new certificate shows that it has the new key.
renewed_key_of_root() {
    local drop_in=$root/etc/systemd/system/bws.service.d/renew.conf
    printf '[Service]\nRefreshOnReload=credentials\n' | write "${drop_in#"$root"}"
    inside systemctl daemon-reload
    inside systemctl restart bws
    mkdir -p "$root/srv/renewed"
    "$load" prepare "$root/srv/renewed"
    install -m 600 "$root/srv/renewed/site.key" "$root/etc/bws/tls/site.key"
    sed -i 's#/srv/load/site.pem#/srv/renewed/site.pem#; s#/srv/load/site.key#credential:tls_site.key#' \
        "$root/etc/bws/sites.d/load.toml"
    chmod -R a+rX "$root/srv/renewed"
    inside systemctl reload bws
    get -k --resolve localhost:8443:127.0.0.1 https://localhost:8443/small.bin -o /dev/null
    loaded_site 0
    inside systemctl reload bws
    rm "$drop_in"
    inside systemctl daemon-reload
}
no_network() {
    mkdir -p "$root/etc/systemd/system/bws.service.d"
    cp "$root/usr/share/bws/no-network.conf" "$root/etc/systemd/system/bws.service.d/"
    rm -f "$root/etc/bws/sites.d/tcp.toml"
    inside systemctl daemon-reload
    inside systemctl restart bws
    exposure 0.2
    [ "$(page news)" = 'edition 6' ]
    [ "$(page unix)" = 'from behind' ]
    inside systemctl reload bws
    [ "$(page news)" = 'edition 6' ]
    # A port that only this empty network would have must not be taken for a success.
    site nowhere 8555 x
    if inside systemctl reload bws; then return 1; fi
    rm "$root/etc/bws/sites.d/nowhere.toml"
}
network_again() {
    rm -r "$root/etc/systemd/system/bws.service.d"
    inside systemctl daemon-reload
    inside systemctl restart bws
}

check 'log files: written, rotated, reopened' log_files
check 'upstreams by TCP and by Unix socket' proxies
check 'a site in /home is refused with its name' home_is_hidden
if available 'credential:'; then
    check 'a key of root, mode 0600, by LoadCredential' keys_of_root
else
    skip 'a key of root, mode 0600, by LoadCredential' 'this version has no credential: keys'
fi
if [ "$(inside systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p')" -ge 260 ]; then
    check 'a renewed key of root comes with a reload' renewed_key_of_root
fi
check 'without a network: at most 0.2, files and Unix upstreams' no_network
check 'and back' network_again
