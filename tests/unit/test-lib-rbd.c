// SPDX-License-Identifier: GPL-2.0-only
/* Names of Ceph's images, as QEMU has them: what is in them, and what is refused. */
#include "destination/rbd-name.h"
#include "unit.h"

static const struct {
	const char *spec, *pool, *namespace, *image, *options[BCL_RBD_OPTIONS];
	const char *formatted;	/* NULL: the same */
} valid[] = {
	{ "rbd:p/i", "p", "", "i", {}, NULL },
	{ "rbd:p/n/i", "p", "n", "i", {}, NULL },
	{ "rbd:p/i=a:conf=/etc/ceph/b.conf:id=u", "p", "", "i=a", { "/etc/ceph/b.conf", "u" }, NULL },
	{ "rbd:p/i:id=u:conf=c", "p", "", "i", { "c", "u" }, "rbd:p/i:conf=c:id=u" },
	{ "rbd:p\\/q/i\\:j\\@k\\\\", "p/q", "", "i:j@k\\", {}, NULL },
	{ "rbd:p/\\i", "p", "", "i", {}, "rbd:p/i" },
	/* As libvirt gives it to QEMU. */
	{ "rbd:p/i:id=u:auth_supported=cephx\\;none:mon_host=a\\:6789\\;b\\:6789", "p", "", "i",
	  { NULL, "u", "a:6789;b:6789", NULL, "cephx;none" },
	  "rbd:p/i:id=u:mon_host=a\\:6789;b\\:6789:auth_supported=cephx;none" },
	{ "rbd:p/i:keyring=/a=b@c/d", "p", "", "i", { NULL, NULL, NULL, "/a=b@c/d" }, NULL },
	{ "rbd:p/i:id=u\\", "p", "", "i", { NULL, "u\\" }, "rbd:p/i:id=u\\\\" },
};

static void same(const char *found, const char *wanted)
{
	if (wanted)
		ck_assert_str_eq(found, wanted);
	else
		ck_assert_ptr_null(found);
}

START_TEST(taken)
{
	struct bcl_rbd_name n;
	char *text;

	ck_assert_int_eq(bcl_rbd_name_parse(NULL, valid[_i].spec, &n), 0);
	same(n.pool, valid[_i].pool);
	same(n.namespace, valid[_i].namespace);
	same(n.image, valid[_i].image);
	for (int o = 0; o < BCL_RBD_OPTIONS; o++)
		same(n.options[o], valid[_i].options[o]);
	text = bcl_rbd_name_format(&n);
	same(text, valid[_i].formatted ? valid[_i].formatted : valid[_i].spec);
	free(text);
	bcl_rbd_name_done(&n);
}
END_TEST

static const struct {
	const char *spec, *says;
} invalid[] = {
	{ "rbd", "found another word, needed rbd:" },
	{ "rbd:", "found no name of an image" },
	{ "rbd:i", "found no name of an image" },
	{ "rbd:/i", "found no name of an image" },
	{ "rbd:p/", "found no name of an image" },
	{ "rbd:p//i", "found no name of an image" },
	{ "rbd:p/n/m/i", "found no name of an image" },
	{ "rbd:p\\/i", "found no name of an image" },
	{ "rbd:p/:id=u", "found no name of an image" },
	{ "rbd:p/i@s", "found a snapshot" },
	{ "rbd:p/i:", "found an empty option" },
	{ "rbd:p/i:key=x", "found key, needed conf" },
	{ "rbd:p/i:id", "found id, needed a value" },
	{ "rbd:p/i:id=", "found id, needed a value" },
	{ "rbd:p/i:id:conf=x", "found id, needed a value" },
	{ "rbd:p/i:id=u:id=v", "found an option twice" },
};

START_TEST(refused)
{
	struct bcl_rbd_name n = {};
	struct blockcopy *bc;

	ck_assert_int_eq(blockcopy_new(&bc), 0);
	ck_assert_int_eq(bcl_rbd_name_parse(bc, invalid[_i].spec, &n), -EINVAL);
	ck_assert_int_eq(blockcopy_error(bc), BLOCKCOPY_USAGE);
	ck_assert_msg(strstr(blockcopy_error_message(bc), invalid[_i].says), "%s: \"%s\" has no \"%s\"",
		      invalid[_i].spec, blockcopy_error_message(bc), invalid[_i].says);
	ck_assert_ptr_null(n.pool);
	ck_assert_int_eq(bcl_rbd_name_parse(NULL, invalid[_i].spec, &n), -EINVAL);
	blockcopy_free(bc);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lib-rbd");
	TCase *t = tcase_create("rbd");

	tcase_add_loop_test(t, taken, 0, ELEMENTSOF(valid));
	tcase_add_loop_test(t, refused, 0, ELEMENTSOF(invalid));
	suite_add_tcase(s, t);
	return unit_main(s);
}
