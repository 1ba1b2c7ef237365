# SPDX-License-Identifier: MIT
# Servers and daemons of a run, and what is measured of all of them. Sourced by bench/run, which sets dir, bin, bench.

dir='' postgres_pid='' pids=() # the latter: of all that is killed in the end, jobd and servers

say() { printf '%s\n' "$*" >&2; }
fail() {
    say "bench/run: $1"
    [ -z "${2-}" ] || tail -n 20 "$2" >&2
    exit 1
}

cleanup() {
    trap '' INT TERM HUP
    local pid
    # PostgreSQL takes its shared memory back only if it is asked to end.
    [ -z "$postgres_pid" ] || kill -QUIT "$postgres_pid" 2>/dev/null
    for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null; done
    for pid in "${pids[@]}" $postgres_pid; do wait_for 60 is_gone "$pid"; done
    [ -z "$dir" ] || rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

# wait_for SECONDS COMMAND…
wait_for() {
    local until=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $until ] || return 1
        sleep 0.02
    done
}

is_gone() { ! kill -0 "$1" 2>/dev/null; }

# daemon LOG COMMAND…: dies with us; its pid is in daemon_pid. Disowned, or bash would tell of every kill.
daemon() {
    local log=$1
    shift
    setpriv --pdeathsig KILL "$@" </dev/null >>"$log" 2>&1 &
    daemon_pid=$!
    disown "$daemon_pid"
    pids+=("$daemon_pid")
}

forget() {
    local pid left=()
    for pid in "${pids[@]}"; do [ "$pid" = "$1" ] || left+=("$pid"); done
    pids=("${left[@]}")
}

redis() { redis-cli -s "$socket" "$@"; }
fresh() { redis flushall >/dev/null; }

redis_start() {
    socket=$dir/redis.sock
    url=unix://$socket
    daemon "$dir/redis.log" redis-server --port 0 --unixsocket "$socket" --dir "$dir" --save '' --appendonly no
    wait_for 60 redis ping || fail 'Redis did not start' "$dir/redis.log"
}

# ---- jobd ----

# jobd_start INSTANCE EXECUTORS QUEUE MODULES LOG-LEVEL [LINES]: its pid is in jobd_pid afterwards; ready means that it is
# registered and every executor runs. MODULES and LINES are as in the configuration.
jobd_start() {
    local conf=$dir/$1.conf
    cat >"$conf" <<END
redis = "$url";
instance = "$1";
state_dir = "$dir";
executor_path = "$bin/jobq-executor";
modules = ( $4 );
queues = ( { name = "$3"; } );
executors = $2;
log_level = "$5";
http = "off";
${6-}
END
    rm -f "$dir/$1.log"
    daemon "$dir/$1.log" "$bin/jobd" -c "$conf"
    jobd_pid=$daemon_pid
    wait_for 60 jobd_is_ready "$jobd_pid" "$2" "$3" || fail "jobd is not ready" "$dir/$1.log"
}

children() { cat "/proc/$1/task/$1/children" 2>/dev/null; }

jobd_is_ready() { # PID EXECUTORS QUEUE
    redis hkeys "jobq:{$3:0}:alive" | grep -q -- "-$1-" && [ "$(children "$1" | wc -w)" -ge "$2" ]
}

jobd_stop() { # PID INSTANCE
    kill -TERM "$1"
    wait_for 40 is_gone "$1" || fail 'jobd does not end' "$dir/$2.log"
    forget "$1"
}

abandon() {
    kill -KILL "$1" 2>/dev/null
    wait_for 60 is_gone "$1"
    forget "$1"
}

# ---- measuring ----

redis_cpu() { redis info cpu | awk -F: '/^used_cpu_(sys|user):/ { s += $2 } END { printf "%.6f\n", s }'; }
redis_memory() { redis info memory | awk -F: '/^used_memory:/ { print $2 + 0 }'; }

# timed NAME COMMAND…: the command prints "JOBS SECONDS". Keeps NAME (jobs/s) and NAME.cpu (Redis us a job).
timed() {
    local name=$1 before after out
    shift
    before=$(redis_cpu)
    out=$("$@") || fail "$name could not be measured"
    after=$(redis_cpu)
    keep "$name" "$(awk '{ printf "%.0f", $1 / $2 }' <<<"$out")"
    keep "$name.cpu" "$(awk -v a="$before" -v b="$after" '{ printf "%.3f", (b - a) * 1e6 / $1 }' <<<"$out")"
}

# latencies NAME COMMAND…: one latency a line. Keeps NAME.p50 and NAME.p99 of this round.
latencies() {
    local name=$1
    shift
    "$@" >"$dir/latencies" || fail "$name could not be measured"
    keep "$name.p50" "$(sort -g "$dir/latencies" | awk '{ v[NR] = $1 } END { print v[int(NR * 0.5 + 0.5)] }')"
    keep "$name.p99" "$(sort -g "$dir/latencies" | awk '{ v[NR] = $1 } END { print v[int(NR * 0.99 + 0.5)] }')"
}
