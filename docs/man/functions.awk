# SPDX-License-Identifier: MIT
# The public functions, each with the first sentence of its comment, for libjobq.3.scd: awk -f functions.awk HEADER...
function escape(text) {
    gsub(/\\/, "\\\\", text)
    gsub(/[*_]/, "\\\\&", text)
    return text
}
/^\/\*\*/ { comment = ""; inside = 1 }
inside {
    line = $0
    sub(/^\/\*\* ?/, "", line)
    sub(/^ \*\/? ?/, "", line)
    sub(/ ?\*\/$/, "", line)
    if (line ~ /^@/)
        tags = 1
    if (!tags && line != "")
        comment = comment (comment == "" ? "" : " ") line
}
/\*\// { inside = 0; tags = 0 }
/^JOBQ_API/ { decl = ""; wanted = 1 }
wanted {
    line = $0
    sub(/^[ \t]+/, "", line)
    decl = decl (decl == "" ? "" : " ") line
    if (line ~ /;$/) {
        wanted = 0
        sub(/^JOBQ_API /, "", decl)
        sub(/^JOBQ_MUST_CHECK /, "", decl)
        if (match(comment, /\. /))
            comment = substr(comment, 1, RSTART)
        printf "\n*%s*\n\t%s\n", escape(decl), escape(comment)
    }
}
