# Issue: what happens can be read in the journal, with what to do; keys that only root may read serve; requests are logged.

# entries EVENT [OPTION…]: of one kind, newest last.
entries() {
    local event=$1
    shift
    inside journalctl -u bws --no-pager BWS_EVENT="$event" "$@"
}
a_failed_reload_explains_itself() {
    local text
    printf '[[sites]]\nname = "broken"\nprot = 1\n' | write /etc/bws/sites.d/broken.toml
    ! inside systemctl reload bws
    rm "$root/etc/bws/sites.d/broken.toml"
    text=$(entries reload-failed -x -n 1)
    echo "$text"
    grep -q 'Subject: The reload failed; version [0-9]* still serves' <<<"$text"
    grep -q "did you mean 'port'?" <<<"$text"
    property StatusText | grep 'reload failed at .*broken.toml:3:1.*still serving version'
    inside systemctl reload bws
    property StatusText | grep '^serving .*; reloaded at '
}
an_entry_has_its_fields() {
    local text
    text=$(entries reload-complete -o export -n 1)
    echo "$text"
    for field in 'MESSAGE_ID=ed86a759a336aa2970e180a14479052b' 'PRIORITY=6' 'SYSLOG_IDENTIFIER=bws' \
        'BWS_CONFIG_VERSION=[0-9]' 'BWS_GENERATION=[0-9]' 'BWS_DURATION_MS=[0-9]'; do
        grep -q "^$field" <<<"$text" || { echo "no $field"; return 1; }
    done
    inside journalctl --no-pager MESSAGE_ID=ed86a759a336aa2970e180a14479052b -n 1 | grep 'Hot reload: complete'
}
workers_have_their_name() {
    inside journalctl -u bws -t bws-worker --no-pager -o export -n 1 | grep '^BWS_GENERATION='
}
every_event_is_in_the_catalog() {
    local id
    inside bws generate catalog | sed -n 's/^-- //p' | while read -r id; do
        inside journalctl --no-pager --dump-catalog "$id" | grep -q '^Defined-By: BWS' || { echo "no $id"; return 1; }
    done
}
requests_are_logged() {
    local log=/var/log/bws/access.log
    cp "$root/etc/bws/config.toml" "$work/config.toml"
    sed -i 's/^\[logging\]$/&\nlog_requests = true/' "$root/etc/bws/config.toml"
    inside systemctl reload bws
    get -A 'one "two"' http://127.0.0.1:8080/?logged >/dev/null
    logged() { inside grep 'GET /?logged HTTP/1.1" 200 .*"one \\x22two\\x22"' "$log"; }
    await 5 logged
    inside mv "$log" "$log.1"
    inside systemctl kill --kill-whom=main --signal=SIGUSR1 bws
    anew() { inside test -e "$log"; }
    await 5 anew
    cp "$work/config.toml" "$root/etc/bws/config.toml"
    inside systemctl reload bws
}
a_key_of_root_serves() {
    mkdir -p "$root/srv/load"
    [ -e "$root/srv/load/site.key" ] || "$load" prepare "$root/srv/load"
    install -m 600 "$root/srv/load/site.key" "$root/etc/bws/tls/site.key"
    cp "$root/srv/load/site.pem" "$root/etc/bws/site.pem"
    chmod 644 "$root/etc/bws/site.pem"
    site secret 8643 secret '[sites.ssl]' 'cert_file = "/etc/bws/site.pem"' 'key_file = "credential:tls_site.key"'
    sed -i 's/"secret.test"/"localhost"/' "$root/etc/bws/sites.d/secret.toml"
    chmod -R a+rX "$root/srv/secret"
    # The service gets its credentials at its start.
    inside systemctl restart bws
    get -k https://localhost:8643/ | grep secret
    inside bws --config-check /etc/bws/config.toml 2>&1 | grep 'cannot be checked here'
    rm "$root/etc/bws/sites.d/secret.toml" "$root/etc/bws/tls/site.key"
    inside systemctl reload bws
}

check 'a failed reload: journalctl -x and systemctl status say what to do' a_failed_reload_explains_itself
check 'an entry has MESSAGE_ID, priority and fields' an_entry_has_its_fields
check 'workers log under their own name' workers_have_their_name
check 'every event is in the catalog' every_event_is_in_the_catalog
check 'requests are logged, and logrotate gets its file' requests_are_logged
check 'a key that only root may read serves as a credential' a_key_of_root_serves
