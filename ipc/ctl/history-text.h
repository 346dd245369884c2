/* Messages for people: days, who wrote, the words folded to the terminal, and the gaps where they lie. */
#pragma once

#include "ipc/ctl/gaps.h"
#include "ipc/ctl/page.h"

/* The page, of one row at least; of ${gaps}, the conversation's, those that lie in it or adjoin it. */
void history_text_put(const struct page *p, const struct gaps *gaps);
