/* bus/roles: every member of every vtable has a role, and no role is for nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/mem.h"
#include "bus/roles.h"
#include "bus/tree.h"
#include "ipc/names.h"
#include "message.h"

static void no_member_lacks_a_role(_unused_ void **state)
{
	size_t seen = 0;

	for (const struct tree_interface *i = tree_interfaces; i->name; i++)
		for (const sd_bus_vtable *v = i->vtable; v->type != _SD_BUS_VTABLE_END; v++) {
			const char *member = v->type == _SD_BUS_VTABLE_METHOD	  ? v->x.method.member :
					     v->type == _SD_BUS_VTABLE_PROPERTY ? v->x.property.member :
										    NULL;

			if (!member)
				continue;
			seen++;
			if (role_of(i->name, member) == ROLE_NOBODY)
				fail_msg("%s.%s has no role", i->name, member);
			/* Without it sd-bus would let root pass and others not, whatever our table says. */
			if (v->type == _SD_BUS_VTABLE_METHOD && !(v->flags & SD_BUS_VTABLE_UNPRIVILEGED))
				fail_msg("%s.%s is not marked UNPRIVILEGED", i->name, member);
		}
	assert_true(seen > 30);
}

static void secrets_are_wiped_from_buffers(_unused_ void **state)
{
	static const char *const secret[] = { "AddAccount",   "SetPassword", "Unlock", "AddSlot",
				      "ChangeSecret", "Rotate" };
	size_t seen = 0;

	for (const struct tree_interface *i = tree_interfaces; i->name; i++)
		for (const sd_bus_vtable *v = i->vtable; v->type != _SD_BUS_VTABLE_END; v++)
			for (size_t k = 0; k < ARRAY_SIZE(secret); k++)
				if (v->type == _SD_BUS_VTABLE_METHOD && strcmp(v->x.method.member, secret[k]) == 0) {
					assert_true(v->flags & SD_BUS_VTABLE_SENSITIVE);
					seen++;
				}
	assert_int_equal(seen, ARRAY_SIZE(secret));
}

static const struct {
	const char *interface, *member, *a, *b;
	enum role role;
} calls[] = {
	{ VARVE_IFACE_MANAGER, "GetStatus", NULL, NULL, ROLE_STATUS },
	{ VARVE_IFACE_MANAGER, "AddAccount", NULL, NULL, ROLE_ADMIN },
	{ VARVE_IFACE_KEYRING, "Unlock", NULL, NULL, ROLE_ADMIN },
	{ VARVE_IFACE_KEYRING, "ListSlots", NULL, NULL, ROLE_ADMIN },
	{ "org.freedesktop.DBus.Properties", "Get", VARVE_IFACE_KEYRING, "Locked", ROLE_STATUS },
	{ VARVE_IFACE_SYNC, "Pause", NULL, NULL, ROLE_WRITE },
	{ VARVE_IFACE_ARCHIVE, "GetHistory", NULL, NULL, ROLE_READ },
	{ VARVE_IFACE_ARCHIVE, "NoSuchMethod", NULL, NULL, ROLE_NOBODY },
	{ "org.varve.Varve1.NotYet", "Anything", NULL, NULL, ROLE_NOBODY },
	{ "org.freedesktop.DBus", "Hello", NULL, NULL, ROLE_STATUS },
	{ "org.freedesktop.DBus.Properties", "Get", VARVE_IFACE_SYNC, "State", ROLE_STATUS },
	{ "org.freedesktop.DBus.Properties", "Get", VARVE_IFACE_SYNC, "NoSuch", ROLE_NOBODY },
	{ "org.freedesktop.DBus.Properties", "GetAll", VARVE_IFACE_ARCHIVE, NULL, ROLE_STATUS },
	{ "org.freedesktop.DBus.Properties", "Set", NULL, NULL, ROLE_ADMIN },
	{ "org.freedesktop.DBus.Properties", "Set", VARVE_IFACE_KEYRING, "AutoLockUSec", ROLE_ADMIN },
	{ NULL, "AddAccount", NULL, NULL, ROLE_ADMIN },
	{ NULL, "Set", NULL, NULL, ROLE_ADMIN },
	{ NULL, "GetHistory", NULL, NULL, ROLE_READ },
};

static void calls_need_the_role_of_their_member(_unused_ void **state)
{
	_cleanup_(sd_bus_unrefp) sd_bus *bus = message_bus();

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = message_call(bus, calls[i].interface, calls[i].member);
		const char *first = NULL;

		if (calls[i].a)
			assert_true(sd_bus_message_append_basic(m, 's', calls[i].a) >= 0);
		if (calls[i].b)
			assert_true(sd_bus_message_append_basic(m, 's', calls[i].b) >= 0);
		message_seal(m);
		if (role_of_call(m) != calls[i].role)
			fail_msg("%s.%s: %s", str_or_empty(calls[i].interface), calls[i].member, role_name(role_of_call(m)));
		/* Left rewound for the handler. */
		if (calls[i].a) {
			assert_true(sd_bus_message_read_basic(m, 's', &first) > 0);
			assert_string_equal(first, calls[i].a);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_member_lacks_a_role),
		cmocka_unit_test(secrets_are_wiped_from_buffers),
		cmocka_unit_test(calls_need_the_role_of_their_member),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
