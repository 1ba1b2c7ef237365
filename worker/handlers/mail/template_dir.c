/* SPDX-License-Identifier: MIT */
/* template_dir: see template_dir.h. */
#include "worker/handlers/mail/template_dir.h"

#include <dlfcn.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "worker/handlers/common/text.h"

void template_dir_find(const char *module_dir, char *out, size_t size)
{
    static const char *const beside[] = {MAIL_TEMPLATES_RELATIVE, "../../share/jobq/templates"};
    struct stat st;

    for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
        text_format(out, size, "%s/%s", module_dir, beside[i]);
        if (stat(out, &st) == 0 && S_ISDIR(st.st_mode)) {
            return;
        }
    }
    text_format(out, size, "%s", MAIL_TEMPLATES_ABSOLUTE);
}

void template_dir_shipped(char *out, size_t size)
{
    static const char here; /* an address inside this object */
    char dir[PATH_MAX] = ".";
    Dl_info info;

    if (dladdr(&here, &info) != 0 && info.dli_fname && strchr(info.dli_fname, '/')) {
        text_format(dir, sizeof(dir), "%s", info.dli_fname);
        *strrchr(dir, '/') = '\0';
    }
    template_dir_find(dir, out, size);
}
