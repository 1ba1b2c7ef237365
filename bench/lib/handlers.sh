# SPDX-License-Identifier: MIT
# The handlers of a forum: what they do in a second, beside what their libraries do alone. Sourced by bench/run.
#
# Each measurement begins with a forum as it was loaded, a copy of the database "loaded". What took how long is read from
# jobd's log, from the start of the first job to the end of the last one.

sender='Forum <forum@example.net>'

sql() { psql -XAtq -v ON_ERROR_STOP=1 -h "$dir/pg" -U jobq -d "$@"; } # DATABASE …

# enqueue QUEUE: lines of TYPE PAYLOAD. Not in a pipeline, where a failure would end nothing.
enqueue() { "$bench/ours_jobs" "$url" "$1" >/dev/null || fail 'the jobs were not stored'; }

# ---- the forum ----

# PostgreSQL refuses to run as root.
postgres_start() {
    local as=() how=() pg_bin
    pg_bin=$(dirname "$(compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort -V | tail -n 1)")
    PATH=$pg_bin:$PATH
    mkdir "$dir/pg"
    chmod 755 "$dir"
    if [ "$(id -u)" = 0 ]; then
        as=(--reuid postgres --regid "$(id -g postgres)" --clear-groups)
        how=(setpriv "${as[@]}")
        chown postgres "$dir/pg"
    fi
    "${how[@]}" initdb -D "$dir/pg/data" -U jobq --auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync \
        >"$dir/pg.log" 2>&1 </dev/null || fail 'initdb failed' "$dir/pg.log"
    daemon "$dir/pg.log" "${as[@]}" postgres -D "$dir/pg/data" -k "$dir/pg" -h '' -c fsync=off -c autovacuum=off \
        -c max_connections=50 -c shared_buffers=256MB
    postgres_pid=$daemon_pid
    forget "$postgres_pid"
    wait_for 60 sql postgres -c 'SELECT 1' || fail 'PostgreSQL does not start' "$dir/pg.log"
}

forum_load() {
    local threads=$((numbers[posts] / 20))
    say "loading a forum of ${numbers[users]} users, $threads threads, ${numbers[posts]} posts ..."
    sql postgres -c 'CREATE DATABASE loaded' || fail 'no database' "$dir/pg.log"
    mkdir "$dir/uploads"
    contrib/forum/fixture/load.sh "host=$dir/pg user=jobq dbname=loaded" --users "${numbers[users]}" \
        --threads "$threads" --posts "${numbers[posts]}" --media "$dir/uploads" >"$dir/load.log" 2>&1 ||
        fail 'the forum does not load' "$dir/load.log"
    cat >"$dir/init.conf" <<END
redis = "$url";
postgres = "host=$dir/pg user=jobq dbname=loaded";
END
    "$bin/jobctl" -c "$dir/init.conf" init >"$dir/load.log" 2>&1 || fail 'jobctl init failed' "$dir/load.log"
    sql loaded -c 'VACUUM ANALYZE' || fail 'the forum does not load' "$dir/pg.log"
    # Nothing but its last post is unread there by those who watch it: see the fixture's watch.sql.
    post=$(sql loaded -c 'SELECT max(id) FROM misago_threads_post
        WHERE thread_id = 1 AND NOT is_unapproved AND NOT is_event AND NOT is_hidden')
}

forum_restore() {
    fresh
    sql postgres -c 'DROP DATABASE IF EXISTS forum WITH (FORCE)' -c 'CREATE DATABASE forum TEMPLATE loaded' \
        2>"$dir/load.log" || fail 'the forum cannot be copied' "$dir/load.log"
}

# ---- jobs ----

# forum_jobd MODULE EXECUTORS [LINES]: takes jobs of the queue named like the module.
forum_jobd() {
    jobd_start "$1" "$2" "$1" "\"$1\"" info "postgres = \"host=$dir/pg user=jobq dbname=forum\";
module_dir = \"$build/lib/jobq\";
${3-}"
}

done_jobs() { grep -c " job\.done .*type=$2 " "$dir/$1.log"; } # MODULE TYPE

has_done() { [ "$(done_jobs "$1" "$2")" -ge "$3" ]; } # MODULE TYPE COUNT

# Chunks enqueue the next chunk: nobody knows how many there will be.
is_idle() { # MODULE TYPE
    sleep 0.2
    "$bin/jobctl" -c "$dir/$1.conf" queue list --json >"$dir/queues" && has_done "$1" "$2" 1 &&
        ! grep -E '"(waiting|claimed|delayed)": *[1-9]' "$dir/queues"
}

# forum_end MODULE TYPE CONDITION…: waits for it, ends jobd, and has the seconds that its jobs took in seconds. A job that
# ended otherwise than done spoils the measurement.
forum_end() {
    local module=$1 type=$2 log=$dir/$1.log
    shift 2
    wait_for 300 "$@" || fail "jobs of $type are not done" "$log"
    jobd_stop "$jobd_pid" "$module"
    ! grep -E ' job\.(failed|crashed|snoozed|exhausted|expired|parked|released) ' "$log" >&2 ||
        fail "jobs of $type failed"
    seconds=$(span_of "$log" "$type")
}

# The seconds from the start of the first job of that type to the end of the last.
span_of() {
    sed -nE 's/^(\S+) .* job\.done .*type='"$2"' .* us=([0-9]+) .*$/\1 \2/p' "$1" | sed -E 's/T/ /; s/Z? / /g' |
        awk '{
            split($2, t, ":")
            end = t[1] * 3600 + t[2] * 60 + t[3]
            if (NR > 1 && end < first - 43200) end += 86400
            begin = end - $3 / 1e6
            if (NR == 1 || begin < first) first = begin
            if (NR == 1 || end > last) last = end
        }
        END { printf "%.3f\n", last - first }'
}

rate() { awk -v n="$1" -v s="$2" 'BEGIN { printf "%.1f\n", (s > 0 ? n / s : 0) }'; } # COUNT SECONDS

# ---- notifications ----

# Tells those who watch the thread of its last post. What they get by mail waits in the queue mail afterwards.
tell() {
    forum_restore
    [ -z "${1-}" ] || sql forum -c "ALTER DATABASE forum SET log_min_duration_statement = 0"
    forum_jobd notify 1 'mail = { queue = "mail"; };'
    enqueue notify <<<"notify.reply {\"post_id\":$post}"
    forum_end notify notify.reply has_done notify notify.reply 1
    recipients=$(sql forum -c "SELECT count(*) FROM misago_notifications_notification WHERE post_id = $post")
    mails=$(redis xlen 'jobq:{mail:0}:ready:normal')
    [ "$recipients" -gt 0 ] && [ "$mails" -gt 0 ] || fail 'nobody was told' "$dir/notify.log"
}

measure_tell() {
    tell
    keep ours.recipients "$(rate "$recipients" "$seconds")"
    keep ours.tell_ms "$(awk -v s="$seconds" 'BEGIN { printf "%.0f", s * 1000 }')"
}

# What PostgreSQL was asked by the first job of an executor, which also looks at the tables, from BEGIN to COMMIT; and how
# long the query for the recipients took.
measure_statements() {
    local from
    from=$(wc -l <"$dir/pg.log")
    tell logged
    tail -n +$((from + 1)) "$dir/pg.log" | grep -E ' LOG: +duration: ' >"$dir/statements"
    keep ours.statements "$(awk '/ execute [^:]*: BEGIN/ { on = 1 } on && / execute / { n++ } / execute [^:]*: COMMIT/ { exit }
        END { print n + 0 }' "$dir/statements")"
    keep ours.query_ms "$(sed -nE 's/.* duration: ([0-9.]+) ms .*: -- Who is told of a reply, .*/\1/p' "$dir/statements" |
        awk '{ s += $1 } END { if (NR) printf "%.1f", s }')"
}

# ---- mails ----

sink_start() { # [FILE]
    rm -f "$dir/sink.log"
    daemon "$dir/sink.log" "$bench/smtp_sink" "$@"
    sink_pid=$daemon_pid
    wait_for 60 grep -q . "$dir/sink.log" || fail 'the mail server does not start' "$dir/sink.log"
    smtp=smtp://127.0.0.1:$(head -n 1 "$dir/sink.log")
}

# It must have taken as many mails as were sent.
sink_stop() { # COUNT
    kill -TERM "$sink_pid"
    wait_for 60 is_gone "$sink_pid"
    forget "$sink_pid"
    [ "$(awk 'END { print $1 }' "$dir/sink.log")" = "$1" ] || fail "not the $1 mails arrived that were sent" "$dir/sink.log"
}

# measure_mail EXECUTORS: ours first, for raw sends again what the first of our mails was.
measure_mail() {
    local sent out
    tell
    sink_start "$dir/message"
    forum_jobd mail "$1" "mail = { url = \"$smtp\"; tls = \"none\"; from = \"$sender\"; };"
    forum_end mail mail.reply has_done mail mail.reply "$mails"
    sent=$((mails - $(grep -c ' job\.done .*text="\?skipped' "$dir/mail.log")))
    sink_stop "$sent"
    keep "ours.mail$1" "$(rate "$sent" "$seconds")"
    sink_start
    sent=$((sent / $1 * $1))
    out=$("$bench/raw_mail" "$smtp" "$dir/message" "$sent" "$1") || fail 'raw_mail failed'
    sink_stop "$sent"
    keep "raw.mail$1" "$(rate $out)"
    pair "ours.mail$1" "raw.mail$1"
}

# ---- avatars ----

# The uploads that can become avatars, of users that have none yet: user, file, the shorter side.
list_uploads() {
    sql loaded -F ' ' -c "SELECT u.id, m.path, v.side FROM misago_users_user u JOIN fixture_media m ON m.path = u.avatar_tmp
        JOIN (VALUES ('alpha.png', 500), ('photo.jpg', 520), ('wide.webp', 400), ('gray16.png', 420), ('palette.png', 450),
            ('turned.jpg', 420), ('alpha.webp', 450), ('exact.png', 400)) v(file, side) USING (file)
        WHERE NOT u.is_avatar_locked AND NOT EXISTS (SELECT FROM misago_users_avatar a WHERE a.user_id = u.id)
        ORDER BY u.id LIMIT ${numbers[avatars]}" >"$dir/avatars"
    [ -s "$dir/avatars" ] || fail 'nobody in this forum has uploaded an avatar; it needs more --users'
}

# The largest square from the upper left corner, ours and raw.
measure_avatars() {
    local n out
    n=$(wc -l <"$dir/avatars")
    out=$(awk '{ print $2, $3 }' "$dir/avatars" | "$bench/raw_avatar" "$dir/uploads") || fail 'raw_avatar failed'
    keep raw.avatars "$(rate $out)"
    forum_restore
    rm -rf "$dir/media"
    cp -r "$dir/uploads" "$dir/media"
    awk '{ printf "avatar.resize {\"user_id\":%d,\"source\":\"tmp\",\"crop\":{\"x\":0,\"y\":0,\"zoom\":%.6f}}\n",
        $1, 400 / $3 }' "$dir/avatars" >"$dir/avatar.jobs"
    enqueue avatar <"$dir/avatar.jobs"
    forum_jobd avatar 1 "forum = { media_root = \"$dir/media\"; };"
    forum_end avatar avatar.resize has_done avatar avatar.resize "$n"
    [ "$(sql forum -c "SELECT count(*) FROM misago_users_avatar WHERE user_id IN ($(awk '{ printf "%s%d", s, $1; s = "," }' \
        "$dir/avatars"))")" = $((n * 10)) ] || fail 'not all avatars were made' "$dir/avatar.log"
    keep ours.avatars "$(rate "$n" "$seconds")"
    pair ours.avatars raw.avatars
}

# ---- recounts ----

declare -A tables=([threads]=misago_threads_thread [categories]=misago_categories_category [users]=misago_users_user)

# Every counter of every row is wrong before, and right afterwards.
measure_recount() {
    local kind wrong
    forum_restore
    sql forum -f contrib/forum/fixture/corrupt.sql >"$dir/load.log" 2>&1 || fail 'no counter goes wrong' "$dir/load.log"
    for kind in threads categories users; do
        fresh
        enqueue recount <<<"stats.recount_all {\"kind\":\"$kind\"}"
        forum_jobd recount 1
        forum_end recount stats.recount_all is_idle recount stats.recount_all
        keep "ours.$kind" "$(rate "$(sql forum -c "SELECT count(*) FROM ${tables[$kind]}")" "$seconds")"
    done
    wrong=$(sql forum -f contrib/forum/fixture/verify.sql 2>"$dir/load.log") || fail 'nothing can be verified' "$dir/load.log"
    [ -z "$wrong" ] || fail "counters are wrong after a recount: ${wrong%%$'\n'*}"
}

# ---- the whole ----

rows_handlers() {
    median 'mails, one executor' ours.mail1 mails/s '' ours.mail1
    median 'mails, an executor a core' "ours.mail$many" mails/s '' "ours.mail$many"
    median 'avatars, one executor' ours.avatars avatars/s '' ours.avatars
    row 'recipients of a reply' "$recipients" users ''
    median 'recipients, told' ours.recipients users/s ''
    median 'recipients, the whole job' ours.tell_ms ms ''
    median 'recipients, the query' ours.query_ms ms ''
    row 'recipients, statements' "$(statistic ours.statements 100)" each 'value <= 20'
    median 'recount, threads' ours.threads rows/s ''
    median 'recount, categories' ours.categories rows/s ''
    median 'recount, users' ours.users rows/s ''
}

measure_handlers() {
    local name
    for name in raw_mail smtp_sink raw_avatar; do
        [ -x "$bench/$name" ] || fail "the build has no $name: libcurl or libvips was missing"
    done
    many=$(nproc)
    [ "$many" -gt 1 ] || many=2
    postgres_start
    forum_load
    list_uploads
    for ((round = 1; round <= rounds; round++)); do
        say "round $round of $rounds of the handlers ..."
        measure_tell
        measure_statements
        measure_mail 1
        measure_mail "$many"
        measure_avatars
        measure_recount
    done
    rows_handlers
}
