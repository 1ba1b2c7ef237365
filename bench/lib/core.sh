# SPDX-License-Identifier: MIT
# The core: enqueueing, draining, latency, memory, recovery, beside what Redis alone can do. Sourced by bench/run.

batch=64         # commands in one write, and entries in one read, of the raw programs
latency_jobs=300 # of one round
pace_ms=5        # between two of them

# jobd_bench INSTANCE EXECUTORS
jobd_bench() {
    jobd_start "$1" "$2" bench "\"$bench/bench_noop.so\"" warn
}

measure_enqueue() {
    local one=$(((jobs + 9) / 10))
    fresh
    timed raw.one "$bench/raw_enqueue" "$socket" s "$one" 1
    fresh
    timed ours.one "$bench/ours_enqueue" "$url" bench "$one" 1
    fresh
    timed raw.many "$bench/raw_enqueue" "$socket" s "$jobs" "$batch"
    fresh
    timed ours.many "$bench/ours_enqueue" "$url" bench "$jobs" "$batch"
}

measure_raw_drain() { # del|trim
    fresh
    "$bench/raw_enqueue" "$socket" s "$jobs" "$batch" >/dev/null || fail 'raw_enqueue failed'
    timed "raw.drain_$1" "$bench/raw_drain" "$socket" s "$jobs" "$batch" "$1"
}

# The queue is filled first; the watcher leaves out what happens before jobd has done its first jobs.
measure_our_drain() {
    local lane='jobq:{bench:0}:ready:normal' before after out
    fresh
    "$bench/ours_enqueue" "$url" bench "$jobs" "$batch" >/dev/null || fail 'ours_enqueue failed'
    "$bench/ours_drain" "$socket" "$lane" "$jobs" >"$dir/drain" &
    local watcher=$!
    before=$(redis_cpu)
    jobd_bench bench "$(nproc)"
    wait "$watcher" || fail 'jobd did not drain its queue' "$dir/bench.log"
    after=$(redis_cpu)
    keep ours.drain "$(awk '{ printf "%.0f", $1 / $2 }' "$dir/drain")"
    keep ours.drain.cpu "$(awk -v a="$before" -v b="$after" -v n="$jobs" 'BEGIN { printf "%.3f", (b - a) * 1e6 / n }')"
    out=$("$bin/jobctl" --redis "$url" queue list --json) || fail 'jobctl failed'
    [ "$(awk -F'[:,]' '/"(dead|parked|delayed)":/ { s += $2 } END { print s + 0 }' <<<"$out")" = 0 ] ||
        fail 'jobs failed while draining' "$dir/bench.log"
    measure_memory "$jobd_pid"
    jobd_stop "$jobd_pid" bench
}

pss_kib() { awk '/^Pss:/ { print $2 }' "/proc/$1/smaps_rollup"; }

measure_memory() {
    local pid
    keep pss.supervisor "$(pss_kib "$1")"
    for pid in $(children "$1"); do keep pss.executor "$(pss_kib "$pid")"; done
}

measure_latency() {
    fresh
    latencies raw.latency "$bench/raw_latency" "$socket" l "$latency_jobs" "$pace_ms"
    fresh
    jobd_bench bench "$(nproc)"
    rm -f "$dir/stamps"
    latencies ours.latency "$bench/ours_latency" "$url" bench "$latency_jobs" "$pace_ms" "$dir/stamps"
    jobd_stop "$jobd_pid" bench
}

measure_queued_bytes() {
    local empty queued=$(((jobs + 1) / 2))
    fresh
    empty=$(redis_memory)
    "$bench/raw_enqueue" "$socket" s "$queued" "$batch" >/dev/null || fail 'raw_enqueue failed'
    keep raw.bytes "$((($(redis_memory) - empty) / queued))"
    fresh
    empty=$(redis_memory)
    "$bench/ours_enqueue" "$url" bench "$queued" "$batch" >/dev/null || fail 'ours_enqueue failed'
    keep ours.bytes "$((($(redis_memory) - empty) / queued))"
}

# ---- recovery: milliseconds from kill -9 to the job's start elsewhere ----

# hold SLOT: enqueues a job that runs until it is stopped, and waits for its first start.
hold() {
    "$bin/jobctl" --redis "$url" job enqueue bench.hold --queue bench --hard-limit 10m --soft-limit 9m \
        "{\"file\":\"$dir/holds\",\"slot\":\"$1\"}" >/dev/null || fail 'jobctl failed'
    wait_for 60 started "$1" 1 || fail 'a job did not start' "$dir/a.log"
}

started() { [ "$(grep -c "^$1 " "$dir/holds" 2>/dev/null)" -ge "$2" ]; }           # SLOT TIMES
start_of() { grep "^$1 " "$dir/holds" | awk -v n="$2" 'NR == n { print $'"$3"' }'; } # SLOT TIME COLUMN

# killed NAME SLOT PID: kills it, waits for the second start, keeps the milliseconds.
killed() {
    local at=$EPOCHREALTIME
    kill -KILL "$3" || fail "nothing to kill"
    wait_for 60 started "$2" 2 || fail 'a job was not recovered' "$dir/a.log"
    keep "$1" "$(awk -v a="${at/,/.}" -v b="$(start_of "$2" 2 3)" 'BEGIN { printf "%.1f", b / 1e6 - a * 1e3 }')"
}

# finish SLOT: whoever runs it now is stopped with its jobd, so the next round begins with nothing.
measure_recovery() {
    local i holder other parent
    rm -f "$dir/holds"
    for ((i = 1; i <= kills; i++)); do
        fresh
        jobd_bench a 2
        hold "e$i"
        killed recovery.executor "e$i" "$(start_of "e$i" 1 2)"
        abandon "$jobd_pid"
    done
    for ((i = 1; i <= kills; i++)); do
        fresh
        jobd_bench a 1
        holder=$jobd_pid
        jobd_bench b 1
        other=$jobd_pid
        wait_for 60 both_watch || fail 'the two jobd do not see each other'
        hold "j$i"
        parent=$(awk '/^PPid:/ { print $2 }' "/proc/$(start_of "j$i" 1 2)/status")
        [ "$parent" = "$holder" ] || { other=$holder; holder=$parent; }
        killed recovery.jobd "j$i" "$holder"
        forget "$holder"
        abandon "$other"
    done
}

# Each has beaten since the other came, so each has seen the other's presence.
both_watch() {
    redis hvals 'jobq:{bench:0}:alive' | awk '$1 < 3 { few = 1 } END { exit few || NR != 2 }'
}

# ---- the rows ----

pair_core() {
    pair ours.one raw.one
    pair ours.many raw.many
    pair ours.many.cpu raw.many.cpu
    pair ours.drain raw.drain_del raw.drain_trim
    pair ours.drain.cpu raw.drain_del.cpu raw.drain_trim.cpu
    pair ours.latency.p50 raw.latency.p50
    pair ours.latency.p99 raw.latency.p99
    pair ours.bytes raw.bytes
}

rows_core() {
    median 'enqueue, one a call' ours.one jobs/s '' ours.one
    median 'enqueue, many a call' ours.many jobs/s '' ours.many
    median 'enqueue, Redis CPU' ours.many.cpu us/job '' ours.many.cpu
    median 'drain, raw XACK+XDEL' raw.drain_del jobs/s ''
    median 'drain, raw XACK+XTRIM' raw.drain_trim jobs/s ''
    median 'drain, one jobd' ours.drain jobs/s 'ratio >= 0.4' ours.drain
    median 'drain, Redis CPU' ours.drain.cpu us/job '' ours.drain.cpu
    median 'start latency, p50' ours.latency.p50 us 'ratio <= 3' ours.latency.p50
    median 'start latency, p99' ours.latency.p99 us '' ours.latency.p99
    median 'supervisor, PSS' pss.supervisor KiB ''
    median 'executor, PSS' pss.executor KiB ''
    median 'Redis memory' ours.bytes bytes/job 'value <= 160' ours.bytes
    median 'executor killed, p50' recovery.executor ms ''
    row 'executor killed, worst' "$(statistic recovery.executor 100)" ms 'value <= 100'
    median 'jobd killed, p50' recovery.jobd ms ''
    row 'jobd killed, worst' "$(statistic recovery.jobd 100)" ms 'value <= 2000'
}

measure_core() {
    for ((round = 1; round <= rounds; round++)); do
        say "round $round of $rounds ..."
        measure_enqueue
        measure_raw_drain del
        measure_our_drain
        measure_raw_drain trim
        measure_latency
        measure_queued_bytes
        pair_core
    done
    say "killing executors and jobd ..."
    measure_recovery
    rows_core
}
