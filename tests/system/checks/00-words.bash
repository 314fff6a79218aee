# The words that checks are written in.

get() { inside curl -sS --max-time 20 "$@"; }
property() { inside systemctl show -P "$1" "${2:-bws.service}"; }
# Without one systemd says 0, and a signal to 0 would hit ourselves.
master() { property MainPID | grep -vx 0; }
workers() { inside pgrep -P "$(master)"; }
config_version() { get http://127.0.0.1:8080/api/health | sed 's/.*"config_version":\([0-9]*\).*/\1/'; }
# since LAST-LINES: what the journal of the service says.
journal() { inside journalctl -u bws --no-pager -o cat "$@"; }

# site NAME PORT TEXT [KEY = VALUE…]: a site of one page.
site() {
    local name=$1 port=$2 text=$3
    shift 3
    mkdir -p "$root/srv/$name"
    echo "$text" >"$root/srv/$name/index.html"
    {
        printf '[[sites]]\nname = "%s"\nhostname = "%s.test"\nport = %s\nstatic_dir = "/srv/%s"\n' \
            "$name" "$name" "$port" "$name"
        [ $# = 0 ] || printf '%s\n' "$@"
    } | write "/etc/bws/sites.d/$name.toml"
}

page() { get -H "Host: $1.test" "http://127.0.0.1:${2:-8080}/"; }

# The content of tests/system/load.rs in configuration NUMBER, on 8080 and 8443.
loaded_site() {
    local number=$1 file=$root/etc/bws/sites.d/load.toml port
    : >"$file.new"
    for port in 8080 8443; do
        printf '[[sites]]\nname = "load-%s"\nhostname = "localhost"\nport = %s\nstatic_dir = "/srv/load/content-%s"\nheaders = { x-config = "%s" }\n' \
            "$port" "$port" "$number" "$number" >>"$file.new"
    done
    printf '[sites.ssl]\nenabled = true\ncert_file = "/srv/load/site.pem"\nkey_file = "/srv/load/site.key"\n' >>"$file.new"
    mv "$file.new" "$file"
}

prepare_load() {
    if [ ! -e "$root/srv/load/authority.der" ]; then
        mkdir -p "$root/srv/load"
        "$load" prepare "$root/srv/load"
        chmod -R a+rX "$root/srv/load"
    fi
    # Another check may have needed the files alone.
    [ -e "$root/etc/bws/sites.d/load.toml" ] && return
    loaded_site 0
    inside systemctl --quiet enable bws@8443.socket
    inside systemctl restart bws
}

# under_load COMMAND…: with clients around it; prints what they saw, fails when one of their requests failed.
under_load() {
    local report=$work/load.report failed=0
    mkfifo "$work/load.end"
    beside "$load" run "$root/srv/load" 8080 8443 ${kinds:-get fresh tls http2} <"$work/load.end" >"$report" 2>&1 &
    local clients=$!
    exec 9>"$work/load.end"
    rm "$work/load.end"
    sleep 1
    "$@" || failed=1
    sleep 1
    exec 9>&-
    wait "$clients" || failed=1
    cat "$report"
    return $failed
}
