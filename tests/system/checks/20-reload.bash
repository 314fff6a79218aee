# Issue: systemctl reload blocks until the new configuration serves, and tells the truth.

reload_serves() {
    for number in 1 2 3 4 5; do
        site news 8080 "edition $number"
        inside systemctl reload bws
        [ "$(page news)" = "edition $number" ]
        # A site that only now has this folder: the reload must have brought it, not the cache.
        site "only-$number" 8080 yes
        inside systemctl reload bws
        [ "$(page "only-$number")" = yes ]
        rm "$root/etc/bws/sites.d/only-$number.toml"
    done
    inside systemctl reload bws
}
bad_reload_tells() {
    local before status=0
    before=$(config_version)
    echo 'prot = 8080' >>"$root/etc/bws/sites.d/news.toml"
    inside systemctl reload bws || status=$?
    echo "exit status $status"
    inside systemctl status --no-pager -l -n 30 bws || true
    [ "$status" != 0 ]
    [ "$(property ActiveState)" = active ]
    inside systemctl status --no-pager -l -n 30 bws | grep 'news.toml:6:1'
    journal -n 30 | grep "did you mean 'port'"
    [ "$(config_version)" = "$before" ]
    [ "$(page news)" = 'edition 5' ]
}
good_again() {
    site news 8080 'edition 6'
    echo 'headers = { x-edition = "6" }' >>"$root/etc/bws/sites.d/news.toml"
    inside systemctl reload bws
    [ "$(page news)" = 'edition 6' ]
}
hangup_reloads() {
    local before
    before=$(config_version)
    site hangup 8080 heard
    inside kill -HUP "$(master)"
    heard() { [ "$(config_version)" = $((before + 1)) ]; }
    await 10 heard
    [ "$(page hangup)" = heard ]
    settled() { [ "$(property ActiveState)" = active ]; }
    await 5 settled
}
many_reloads() {
    local number
    for number in $(seq 20); do
        loaded_site $((number % 2))
        inside systemctl reload bws || return 1
    done
}
many_reloads_under_load() {
    prepare_load
    under_load many_reloads
}
restart_under_load() {
    local status=0
    kinds=fresh under_load inside systemctl restart bws || status=$?
    # A restart may end connections; none may be refused.
    if grep -E 'Refused' "$work/load.report"; then return 1; fi
}

check 'systemctl reload returns when the new configuration serves' reload_serves
check 'a bad configuration: reload fails, status and journal say why, the old one serves' bad_reload_tells
check 'the next good reload works' good_again
check 'SIGHUP reloads as well' hangup_reloads
check '20 reloads under load: nothing lost' many_reloads_under_load
check 'restart under load: nothing refused' restart_under_load
