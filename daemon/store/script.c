#include "store/script.h"

#include "base/mem.h"

struct range {
	uint32_t first, last;
	enum script script;
};

/* Ascending. Digits of the scripts without spaces stay words: "๒๕๖๗" is a number. */
static const struct range ranges[] = {
	{ 0x00a9, 0x00a9, SCRIPT_EMOJI },
	{ 0x00ae, 0x00ae, SCRIPT_EMOJI },
	{ 0x0e01, 0x0e3a, SCRIPT_RUN }, /* Thai */
	{ 0x0e40, 0x0e4e, SCRIPT_RUN },
	{ 0x0e81, 0x0ece, SCRIPT_RUN }, /* Lao */
	{ 0x0edc, 0x0edf, SCRIPT_RUN },
	{ 0x1000, 0x103f, SCRIPT_RUN }, /* Myanmar */
	{ 0x1050, 0x108f, SCRIPT_RUN },
	{ 0x109a, 0x109d, SCRIPT_RUN },
	{ 0x1100, 0x11ff, SCRIPT_RUN }, /* Hangul Jamo */
	{ 0x1780, 0x17d3, SCRIPT_RUN }, /* Khmer */
	{ 0x17d7, 0x17d7, SCRIPT_RUN },
	{ 0x17dc, 0x17dd, SCRIPT_RUN },
	{ 0x1950, 0x1974, SCRIPT_RUN }, /* Tai Le */
	{ 0x1980, 0x19c9, SCRIPT_RUN }, /* New Tai Lue */
	{ 0x1a20, 0x1a7c, SCRIPT_RUN }, /* Tai Tham */
	{ 0x1b05, 0x1b4c, SCRIPT_RUN }, /* Balinese */
	{ 0x200b, 0x200d, SCRIPT_BLANK }, /* zero width space, non-joiner, joiner */
	{ 0x203c, 0x203c, SCRIPT_EMOJI },
	{ 0x2049, 0x2049, SCRIPT_EMOJI },
	{ 0x2060, 0x2060, SCRIPT_BLANK },
	{ 0x2122, 0x2122, SCRIPT_EMOJI },
	{ 0x2190, 0x21ff, SCRIPT_EMOJI }, /* arrows */
	{ 0x2300, 0x23ff, SCRIPT_EMOJI }, /* clocks, keys */
	{ 0x24b6, 0x24e9, SCRIPT_EMOJI }, /* circled letters */
	{ 0x25a0, 0x2775, SCRIPT_EMOJI }, /* shapes, symbols, dingbats; circled digits are numbers */
	{ 0x2794, 0x27bf, SCRIPT_EMOJI },
	{ 0x2900, 0x297f, SCRIPT_EMOJI },
	{ 0x2b00, 0x2bff, SCRIPT_EMOJI },
	{ 0x2e80, 0x2fdf, SCRIPT_RUN }, /* radicals */
	{ 0x3005, 0x3007, SCRIPT_RUN }, /* iteration mark, closing mark, zero */
	{ 0x3021, 0x302f, SCRIPT_RUN },
	{ 0x3030, 0x3030, SCRIPT_EMOJI },
	{ 0x3031, 0x3035, SCRIPT_RUN },
	{ 0x3038, 0x303c, SCRIPT_RUN },
	{ 0x303d, 0x303d, SCRIPT_EMOJI },
	{ 0x3041, 0x3096, SCRIPT_RUN }, /* Hiragana */
	{ 0x3099, 0x309a, SCRIPT_RUN },
	{ 0x309d, 0x309f, SCRIPT_RUN },
	{ 0x30a1, 0x30fa, SCRIPT_RUN }, /* Katakana; not the middle dot 30fb */
	{ 0x30fc, 0x30ff, SCRIPT_RUN },
	{ 0x3105, 0x312f, SCRIPT_RUN }, /* Bopomofo */
	{ 0x3131, 0x318e, SCRIPT_RUN }, /* Hangul, compatibility */
	{ 0x31a0, 0x31bf, SCRIPT_RUN },
	{ 0x31f0, 0x31ff, SCRIPT_RUN },
	{ 0x3297, 0x3297, SCRIPT_EMOJI },
	{ 0x3299, 0x3299, SCRIPT_EMOJI },
	{ 0x3400, 0x4dbf, SCRIPT_RUN }, /* Han */
	{ 0x4e00, 0x9fff, SCRIPT_RUN },
	{ 0xa000, 0xa48c, SCRIPT_RUN }, /* Yi */
	{ 0xa960, 0xa97c, SCRIPT_RUN }, /* Hangul */
	{ 0xa980, 0xa9c0, SCRIPT_RUN }, /* Javanese */
	{ 0xa9e0, 0xa9ef, SCRIPT_RUN }, /* Myanmar */
	{ 0xa9fa, 0xa9fe, SCRIPT_RUN },
	{ 0xaa60, 0xaa7f, SCRIPT_RUN },
	{ 0xaa80, 0xaadf, SCRIPT_RUN }, /* Tai Viet */
	{ 0xac00, 0xd7fb, SCRIPT_RUN }, /* Hangul */
	{ 0xf900, 0xfad9, SCRIPT_RUN }, /* Han, compatibility */
	{ 0xfe00, 0xfe0f, SCRIPT_BLANK }, /* variation selectors */
	{ 0xfeff, 0xfeff, SCRIPT_BLANK },
	{ 0xff66, 0xffdc, SCRIPT_RUN }, /* half-width Katakana and Hangul */
	{ 0x16ff0, 0x18cff, SCRIPT_RUN }, /* Tangut, Khitan */
	{ 0x1aff0, 0x1b2fb, SCRIPT_RUN }, /* Kana, Nushu */
	{ 0x1f000, 0x1f0ff, SCRIPT_EMOJI }, /* tiles, cards */
	{ 0x1f10d, 0x1faff, SCRIPT_EMOJI },
	{ 0x20000, 0x323af, SCRIPT_RUN }, /* Han */
	{ 0xe0100, 0xe01ef, SCRIPT_BLANK },
};

/* Arabic, Hebrew: points and tatweel; variation selectors. Few, and only looked at in words that have some. */
static const struct {
	uint32_t first, last;
} optional[] = {
	{ 0x0591, 0x05bd }, { 0x05bf, 0x05bf }, { 0x05c1, 0x05c2 }, { 0x05c4, 0x05c5 }, { 0x05c7, 0x05c7 },
	{ 0x0610, 0x061a }, { 0x0640, 0x0640 }, { 0x064b, 0x065f }, { 0x0670, 0x0670 }, { 0x06d6, 0x06dc },
	{ 0x06df, 0x06e4 }, { 0x06e7, 0x06e8 }, { 0x06ea, 0x06ed }, { 0x08d3, 0x08ff }, { 0xfe00, 0xfe0f },
	{ 0xe0100, 0xe01ef },
};

size_t script_decode(const char *s, size_t len, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *u = (const unsigned char *)s;
	size_t n = u[0] < 0x80 ? 1 : u[0] < 0xc2 ? 0 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : u[0] < 0xf5 ? 4 : 0;
	uint32_t c = n == 1 ? u[0] : n ? u[0] & (0x7fu >> n) : 0;

	*ret = UINT32_MAX;
	if (n == 0 || n > len)
		return 1;
	for (size_t i = 1; i < n; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return 1;
		c = c << 6 | (u[i] & 0x3fu);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 1;
	*ret = c;
	return n;
}

enum script script_of(uint32_t c)
{
	size_t lo = 0, hi = ARRAY_SIZE(ranges);

	if (c < ranges[0].first)
		return SCRIPT_WORD;
	if (c == UINT32_MAX)
		return SCRIPT_BAD;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (c > ranges[mid].last)
			lo = mid + 1;
		else if (c < ranges[mid].first)
			hi = mid;
		else
			return ranges[mid].script;
	}
	return SCRIPT_WORD;
}

bool script_is_optional(uint32_t c)
{
	for (size_t i = 0; i < ARRAY_SIZE(optional); i++) {
		if (c >= optional[i].first && c <= optional[i].last)
			return true;
	}
	return false;
}
