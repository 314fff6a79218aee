# Issue: installed from the package, it serves at once and is safe by default.

installs() {
    cp "$package" "$root/root/bws.deb"
    inside env DEBIAN_FRONTEND=noninteractive apt-get install -qy /root/bws.deb
    inside systemctl is-active bws.service bws.socket
}
default_page() { get http://127.0.0.1:8080/ | grep 'BWS works'; }
status_reads_well() {
    local text
    text=$(inside systemctl status --no-pager -l bws)
    echo "$text"
    grep -q 'serving 1 site' <<<"$text" &&
        grep -q 'bws: master' <<<"$text" && grep -q 'bws: worker' <<<"$text"
}
journal_reads_well() {
    journal
    [ "$(journal -p warning | wc -l)" = 0 ] && journal | grep 'loading configuration from /etc/bws/config.toml'
}
catalog_explains() {
    inside journalctl -u bws -x --no-pager | grep 'BWS serves configuration version 1'
}
units_verify() {
    local said
    said=$(inside systemd-analyze verify --man=no bws.service bws.socket bws@8443.socket 2>&1)
    echo "$said"
    [ -z "$said" ]
}
exposure() {
    local level
    level=$(inside systemd-analyze security --no-pager bws.service | sed -n 's/.*Overall exposure level for bws.service: \([0-9.]*\).*/\1/p')
    echo "exposure $level, at most $1"
    awk -v level="$level" -v limit="$1" 'BEGIN { exit !(level != "" && level <= limit) }'
}
has_no_power() {
    local pid status
    for pid in $(master) $(workers); do
        status=$(inside cat "/proc/$pid/status")
        grep -E '^(Uid|Cap...|NoNewPrivs|Seccomp):' <<<"$status"
        grep -q 'NoNewPrivs:.1' <<<"$status"
        [ "$(grep -cE '^Cap(Inh|Prm|Eff|Bnd|Amb):.0{16}$' <<<"$status")" = 5 ]
        [ "$(inside stat -c %U "/proc/$pid")" = bws ]
    done
}
files_are_in_place() {
    inside dpkg -V bws
    [ "$(inside stat -c '%a %U' /etc/bws/tls)" = '700 root' ]
    [ -z "$(inside ls -A /etc/bws/sites.d)" ]
    [ "$(inside stat -c '%a %U:%G' /run/bws/control.sock)" = '660 bws:bws' ]
    inside journalctl --no-pager --list-catalog | grep BWS
}

check 'apt install starts service and socket' installs
check 'the default page answers on the default port' default_page
# systemctl cannot list processes while one of them ends.
check 'systemctl status tells sites and processes' await 5 status_reads_well
check 'the journal tells the start, without a warning' journal_reads_well
check 'journalctl -x explains, with the values filled in' catalog_explains
check 'systemd-analyze verify is silent' units_verify
check 'systemd-analyze security: at most 1.1' exposure 1.1
check 'no process has a capability, or root' has_no_power
check 'files, folders and modes are as packaged' files_are_in_place
