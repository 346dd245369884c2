#include "records.h"

#include <string.h>

#include "base/mem.h"
#include "core/text.h"
#include "fuzz.h"

#define CHECK_STR(name, max)                                                                                         \
	must(v->name && strlen(v->name) <= (max), #name " too long");                                                \
	must(text_is_utf8(v->name) && text_is_clean(v->name), #name " not clean");
#define CHECK_U32(name, max)
#define CHECK_U64(name, max)
#define CHECK_I64(name, max)
#define CHECK_BOOL(name, max)
#define CHECK(type, name, max) CHECK_##type(name, max)
#define CHECK_CASE(NAME, name, tag, fields, dir)                                                                     \
	case LINK_##NAME: {                                                                                          \
		const struct tag *v _unused_ = &r->name;                                                             \
		fields(CHECK) break;                                                                                 \
	}

void must_fit(const struct link_record *r)
{
	switch (r->kind) {
		LINK_VOCABULARY(CHECK_CASE)
	case LINK_KINDS:
		break;
	}
}
