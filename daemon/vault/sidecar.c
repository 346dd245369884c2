#include "vault/sidecar.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#include "base/buf.h"
#include "vault/sidecar-text.h"

static void add_hex(struct buf *b, const char *word, const uint8_t *data, size_t len)
{
	char hex[2 * SLOT_WRAPPED + 1];

	sodium_bin2hex(hex, sizeof(hex), data, len);
	buf_addf(b, "%s %s\n", word, hex);
}

static void add_quoted(struct buf *b, const char *word, const char *s)
{
	buf_addf(b, "%s \"", word);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			buf_add(b, "\\", 1);
		buf_add(b, s, 1);
	}
	buf_adds(b, "\"\n");
}

static void add_slot(struct buf *b, const struct sidecar_slot *s)
{
	buf_addf(b, "slot %" PRIu32 "\n", s->id);
	buf_addf(b, "type %s\n", kdf_type_name(s->type));
	buf_addf(b, "created %" PRId64 "\n", s->created_us);
	add_quoted(b, "label", s->label);
	add_quoted(b, "path", s->path);
	if (s->type == SLOT_PASSPHRASE)
		buf_addf(b, "kdf argon2id %" PRIu64 " %" PRIu64 "\n", s->ops, s->mem);
	else
		buf_adds(b, "kdf blake2b\n");
	add_hex(b, "salt", s->salt, sizeof(s->salt));
	add_hex(b, "nonce", s->nonce, sizeof(s->nonce));
	add_hex(b, "key", s->wrapped, sizeof(s->wrapped));
}

/* All that the MAC covers. */
static void add_body(struct buf *b, const struct sidecar *s)
{
	buf_adds(b, SIDECAR_TITLE "1\n" SIDECAR_COMMENT);
	add_hex(b, "vault", s->vault_id, sizeof(s->vault_id));
	add_quoted(b, "database", s->database);
	add_hex(b, "file", s->file_id, sizeof(s->file_id));
	buf_addf(b, "epoch %" PRIu32 "\n", s->epoch);
	buf_addf(b, "page %d\nreserve %d\nalg " SIDECAR_ALG "\n", PAGE_SIZE, PAGE_RESERVE);
	buf_addf(b, "state %s\n", s->ready ? "ready" : "creating");
	buf_addf(b, "next-slot %" PRIu32 "\nslots %zu\n", s->next_slot, s->n_slots);
	for (size_t i = 0; i < s->n_slots; i++)
		add_slot(b, &s->slots[i]);
}

static void mac_of(const struct buf *body, const uint8_t mac_key[KDF_KEY], uint8_t ret[SIDECAR_MAC])
{
	crypto_generichash(ret, SIDECAR_MAC, (const uint8_t *)body->data, body->len, mac_key, KDF_KEY);
}

void sidecar_check_of(const void *text, size_t len, uint8_t ret[SIDECAR_CHECK])
{
	crypto_generichash(ret, SIDECAR_CHECK, text, len, NULL, 0);
}

char *sidecar_text(const struct sidecar *s)
{
	uint8_t check[SIDECAR_CHECK];
	struct buf b = { 0 };

	add_body(&b, s);
	add_hex(&b, "mac", s->mac, SIDECAR_MAC);
	sidecar_check_of(b.data, b.len, check);
	add_hex(&b, "check", check, sizeof(check));
	return buf_steal(&b);
}

char *sidecar_print(struct sidecar *s, const uint8_t mac_key[KDF_KEY])
{
	struct buf b = { 0 };

	add_body(&b, s);
	mac_of(&b, mac_key, s->mac);
	buf_deinit(&b);
	return sidecar_text(s);
}

bool sidecar_authentic(const struct sidecar *s, const uint8_t mac_key[KDF_KEY])
{
	uint8_t mac[SIDECAR_MAC];
	struct buf b = { 0 };

	add_body(&b, s);
	mac_of(&b, mac_key, mac);
	buf_deinit(&b);
	return sodium_memcmp(mac, s->mac, sizeof(mac)) == 0;
}

void sidecar_copy(struct sidecar *ret, const struct sidecar *s)
{
	*ret = *s;
	ret->database = xstrdup(s->database);
	for (size_t i = 0; i < s->n_slots; i++) {
		ret->slots[i].label = xstrdup(s->slots[i].label);
		ret->slots[i].path = xstrdup(s->slots[i].path);
	}
}

static void slot_deinit(struct sidecar_slot *s)
{
	free(s->label);
	free(s->path);
	*s = (struct sidecar_slot){ 0 };
}

void sidecar_deinit(struct sidecar *s)
{
	free(s->database);
	for (size_t i = 0; i < s->n_slots; i++)
		slot_deinit(&s->slots[i]);
	*s = (struct sidecar){ 0 };
}

struct sidecar_slot *sidecar_find(struct sidecar *s, uint32_t id)
{
	for (size_t i = 0; i < s->n_slots; i++)
		if (s->slots[i].id == id)
			return &s->slots[i];
	return NULL;
}

struct sidecar_slot *sidecar_add(struct sidecar *s, enum slot_type type, const char *label, const char *path,
				 int64_t now_us)
{
	struct sidecar_slot *slot;

	if (s->n_slots == VAULT_SLOTS_MAX || s->next_slot == UINT32_MAX)
		return NULL;
	slot = &s->slots[s->n_slots++];
	*slot = (struct sidecar_slot){
		.id = s->next_slot++,
		.type = type,
		.created_us = now_us > 0 ? now_us : 0,
		.label = xstrdup(str_or_empty(label)),
		.path = xstrdup(str_or_empty(path)),
	};
	return slot;
}

void sidecar_remove(struct sidecar *s, uint32_t id)
{
	struct sidecar_slot *slot = sidecar_find(s, id);

	if (!slot)
		return;
	slot_deinit(slot);
	s->n_slots--;
	memmove(slot, slot + 1, (size_t)(s->slots + s->n_slots - slot) * sizeof(*slot));
	s->slots[s->n_slots] = (struct sidecar_slot){ 0 };
}
