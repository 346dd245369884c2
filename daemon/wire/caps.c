#include "wire/caps.h"

#include <openssl/evp.h>
#include <string.h>

#include "wire/ns.h"

#define CATEGORY "client"
#define TYPE "pc"
#define NAME "varve"

/* In order of bytes, as the hash wants them (i;octet). */
static const char *const features[] = {
	NS_CAPS,    NS_CHATSTATES, NS_DISCO_INFO,    NS_VERSION,   NS_MARKERS, NS_MDS "+notify",
	NS_CORRECT, NS_RETRACT,	   NS_PING,	     NS_REACTIONS, NS_RECEIPTS, NS_REPLY,
};

void caps_string(struct buf *b)
{
	buf_adds(b, CATEGORY "/" TYPE "//" NAME "<");
	for (size_t i = 0; i < ARRAY_SIZE(features); i++)
		buf_addf(b, "%s<", features[i]);
}

const char *caps_ver(void)
{
	static char ver[32]; /* 20 bytes in base64 are 28 */
	_cleanup_(buf_deinit) struct buf s = { 0 };
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned int len = 0;

	if (*ver)
		return ver;
	caps_string(&s);
	/* SHA-1 is what every server knows; nothing depends on its strength here. */
	if (EVP_Digest(s.data, s.len, hash, &len, EVP_sha1(), NULL) != 1 || len != 20)
		abort();
	EVP_EncodeBlock((unsigned char *)ver, hash, (int)len);
	return ver;
}

void caps_add(struct buf *b)
{
	buf_addf(b, "<c xmlns='" NS_CAPS "' hash='sha-1' node='" CAPS_NODE "' ver='%s'/>", caps_ver());
}

bool caps_answer(struct buf *b, const char *node)
{
	_cleanup_(freep) char *own = xasprintf(CAPS_NODE "#%s", caps_ver());

	if (*node && strcmp(node, own) != 0)
		return false;
	buf_adds(b, "<query xmlns='" NS_DISCO_INFO "'");
	if (*node)
		buf_addf(b, " node='%s'", own);
	buf_adds(b, "><identity category='" CATEGORY "' type='" TYPE "' name='" NAME "'/>");
	for (size_t i = 0; i < ARRAY_SIZE(features); i++)
		buf_addf(b, "<feature var='%s'/>", features[i]);
	buf_adds(b, "</query>");
	return true;
}
