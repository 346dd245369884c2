#include "wire/request.h"

#include "core/text.h"
#include "wire/compose.h"
#include "wire/element.h"
#include "wire/limits.h"
#include "wire/ns.h"

struct requests {
	struct iq_table *iqs;
	struct mam_ops ops;
};

struct requests *requests_new(struct iq_table *iqs, const struct mam_ops *ops)
{
	struct requests *q = xnew(struct requests);

	q->iqs = iqs;
	q->ops = *ops;
	return q;
}

struct requests *requests_free(struct requests *q)
{
	free(q);
	return NULL;
}

/* ${condition} NULL: it worked. */
static void emit_result(struct requests *q, uint32_t request, uint32_t n, const char *condition, const char *text)
{
	_cleanup_(freep) char *said = xstrndup(text, text_prefix(text, SHORT_TEXT_MAX));
	_cleanup_(freep) char *what = xstrndup(str_or_empty(condition), text_prefix(str_or_empty(condition), 64));
	struct link_record r;

	link_record_init(&r, LINK_RESULT);
	r.result.n = n;
	r.result.request = request;
	r.result.ok = !condition;
	r.result.condition = what;
	r.result.text = said;
	q->ops.emit(q->ops.userdata, &r);
}

static void on_answer(void *userdata, uint32_t request, const struct iq_answer *a)
{
	xmpp_stanza_t *error = a->iq ? element_child(a->iq, "error", NS_CLIENT) : NULL;
	_cleanup_(freep) char *text = element_child_text(error, "text", NS_STANZAS_ERROR);

	emit_result(userdata, request, a->n, a->ok ? NULL : a->condition, text);
}

static bool is_question(uint32_t kind)
{
	return kind != REQUEST_SUBSCRIPTION && kind != REQUEST_PRESENCE;
}

void requests_take(struct requests *q, const struct link_request *request)
{
	_cleanup_(freep) char *id = iq_new_id(q->iqs), *xml = NULL;
	int64_t deadline = q->ops.now(q->ops.userdata) + IQ_TIMEOUT_US;
	const char *condition, *text;

	if (compose_request(request, id, &xml, &condition, &text) != 0) {
		emit_result(q, request->request, 0, condition, text);
		return;
	}
	if (is_question(request->kind) &&
	    !iq_expect(q->iqs, id, "", deadline, on_answer, q, request->request)) {
		emit_result(q, request->request, 0, "resource-constraint", "too many questions are open");
		return;
	}
	q->ops.send(q->ops.userdata, xml);
	if (!is_question(request->kind))
		emit_result(q, request->request, 0, NULL, "");
}
