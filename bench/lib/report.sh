# SPDX-License-Identifier: MIT
# Samples, pairs of them, and the rows that come of both. Sourced by bench/run.

declare -A samples=()

keep() { samples[$1]+="$2 "; } # NAME VALUE

# statistic NAME PERCENT: that percentile of the samples (50: the median), or nothing.
statistic() {
    tr ' ' '\n' <<<"${samples[$1]-}" | grep . | sort -g |
        awk -v p="$2" '{ v[NR] = $1 } END { if (NR) { i = int((NR - 1) * p / 100 + 0.5) + 1; print v[i] } }'
}

rows=()

# last NAME: the newest sample.
last() { awk '{ print $NF }' <<<"${samples[$1]-}"; }

# pair OURS RAW…: of this round, ours against the best of the raw ones. Neighbours in time meet the same machine, so
# their ratio is steadier than that of two medians.
pair() {
    local ours=$1 raw name
    shift
    raw=$(for name in "$@"; do last "$name"; done | sort -g | if [[ $ours = *.cpu ]]; then head -n 1; else tail -n 1; fi)
    keep "$ours.limit" "$raw"
    keep "$ours.ratio" "$(awk -v a="$(last "$ours")" -v b="$raw" 'BEGIN { printf "%.3f", a / b }')"
}

# row TEXT VALUE UNIT GOAL [SAMPLES]: GOAL is "ratio >= 0.4", "ratio <= 3", "value <= 100" or nothing; the limit and
# the ratio are those kept by pair SAMPLES.
row() {
    [ -n "$2" ] || fail "$1 was not measured"
    local limit='' ratio=''
    if [ -n "${5-}" ]; then limit=$(statistic "$5.limit" 50) ratio=$(statistic "$5.ratio" 50); fi
    rows+=("$(awk -v name="$1" -v value="$2" -v unit="$3" -v limit="$limit" -v ratio="$ratio" -v goal="$4" 'BEGIN {
        met = ""
        if (goal != "") {
            split(goal, g, " ")
            x = g[1] == "ratio" ? ratio + 0 : value + 0
            met = g[2] == ">=" ? x >= g[3] + 0 : x <= g[3] + 0
        }
        printf "%s\t%s\t%s\t%s\t%s\t%s\t%s", name, value, unit, limit, (ratio == "" ? "" : sprintf("%.2f", ratio)),
            goal, met
    }')")
}

# median TEXT SAMPLES UNIT GOAL [SAMPLES]
median() { row "$1" "$(statistic "$2" 50)" "${@:3}"; }

print_table() {
    printf '%-24s %10s %-9s %10s %6s  %-14s %s\n' what ours '' raw ratio goal ''
    printf '%s\n' "${rows[@]}" | awk -F'\t' '{
        printf "%-24s %10s %-9s %10s %6s  %-14s %s\n", $1, $2, $3, $4, $5, $6, ($7 == "" ? "" : $7 ? "met" : "MISSED")
    }'
}

print_json() {
    printf '%s\n' "${rows[@]}" | awk -F'\t' '
        function number(x) { return x == "" ? "null" : x }
        BEGIN { printf "{\"rows\":[" }
        {
            printf "%s\n  {\"name\":\"%s\",\"value\":%s,\"unit\":\"%s\",\"limit\":%s,\"ratio\":%s,\"goal\":%s,\"met\":%s}",
                (NR > 1 ? "," : ""), $1, number($2), $3, number($4), number($5),
                ($6 == "" ? "null" : "\"" $6 "\""), ($7 == "" ? "null" : $7 ? "true" : "false")
        }
        END { print "\n]}" }'
}
