// SPDX-License-Identifier: GPL-2.0-only
/*
 * Destinations as libvirt describes them, from its documented schema (formatdomain: hard drives): what
 * is taken, and what is refused with the element named.
 */
#include "internal.h"
#include "unit.h"

static const struct {
	const char *xml, *destination, *format;
	bool blockdev;
} valid[] = {
	/* What virsh makes of --dest, --format and --blockdev. */
	{ "<disk type='file'>\n  <source file='/a/b.img'/>\n  <driver type='raw'/>\n</disk>", "/a/b.img",
	  NULL, false },
	{ "<disk type='block'><source dev='/dev/sdb'/><driver type='raw'/></disk>", "/dev/sdb", NULL,
	  true },
	{ "<disk type='file'><source file='/a/b'/><driver type='qcow2'/></disk>", "/a/b", "qcow2", false },
	/* A whole disk out of a domain. */
	{ "<?xml version='1.0'?><!-- a --><disk type='file' device='disk' snapshot='no'>"
	  "<driver name='qemu' type='qcow2' cache='none' io='native' discard='unmap'/>"
	  "<source file='/a&amp;b/c d.qcow2' startupPolicy='optional'><seclabel model='dac' relabel='no'/>"
	  "</source><backingStore/><target dev='vda' bus='virtio'/><alias name='virtio-disk0'/>"
	  "<serial>x</serial><boot order='1'/><iotune><total_bytes_sec>1</total_bytes_sec></iotune>"
	  "<address type='pci' slot='0x04'/></disk>", "/a&b/c d.qcow2", "qcow2", false },
	{ "<disk type='block' device='disk'><source dev='/dev/disk/by-id/x'/></disk>",
	  "/dev/disk/by-id/x", NULL, true },
	{ "<disk type='network'><source protocol='nbd' name='e'><host name='h'/></source></disk>",
	  "nbd://h:10809/e", NULL, false },
	{ "<disk type='network'><driver type='raw'/><source protocol='nbd' tls='no'>"
	  "<host name='10.0.0.1' port='99' transport='tcp'/></source></disk>", "nbd://10.0.0.1:99/", NULL,
	  false },
	{ "<disk type='network'><source protocol='nbd' name='a b/c?d'><host name='::1'/></source></disk>",
	  "nbd://[::1]:10809/a%20b%2Fc%3Fd", NULL, false },
	{ "<disk type='network'><source protocol='nbd' name='e'>"
	  "<host transport='unix' socket='/run/s&amp;x'/></source></disk>",
	  "nbd+unix:///e?socket=%2Frun%2Fs%26x", NULL, false },
	{ "<disk type='network'><source protocol='rbd' name='p/i'/></disk>", "rbd:p/i", NULL, false },
	/* As OpenStack writes it. */
	{ "<disk type='network' device='disk'><driver name='qemu' type='raw' cache='writeback'/>"
	  "<auth username='cinder'><secret type='ceph' uuid='457eb676-33da-42ec-9a8c-9293d545c337'/></auth>"
	  "<source protocol='rbd' name='volumes/volume-1'><host name='10.0.0.1' port='6789'/>"
	  "<host name='ceph-2' port='6789'/><host name='::1' port='99'/></source>"
	  "<target dev='vda' bus='virtio'/></disk>",
	  "rbd:volumes/volume-1:id=cinder:mon_host=10.0.0.1\\:6789,ceph-2\\:6789,[\\:\\:1]\\:99", NULL, false },
	{ "<disk type='network'><source protocol='rbd' name='p/n/i@x:y' tls='no'><host name='a'/>"
	  "<host name='fe80::1' transport='tcp'/><config file='/etc/ceph/b.conf'/><auth username='u:1'>"
	  "<secret type='ceph' usage='client.u secret'/></auth></source></disk>",
	  "rbd:p/n/i\\@x\\:y:conf=/etc/ceph/b.conf:id=u\\:1:mon_host=a,[fe80\\:\\:1]", NULL, false },
};

START_TEST(taken)
{
	struct blockcopy_options *o;
	struct blockcopy *bc;
	char *destination;

	ck_assert_int_eq(blockcopy_new(&bc), 0);
	ck_assert_int_eq(blockcopy_options_new(&o), 0);
	ck_assert_msg(blockcopy_destination_from_xml(bc, valid[_i].xml, strlen(valid[_i].xml), o,
						     &destination) == 0,
		      "%s: %s", valid[_i].xml, blockcopy_error_message(bc));
	ck_assert_str_eq(destination, valid[_i].destination);
	ck_assert_int_eq(o->blockdev, valid[_i].blockdev);
	if (valid[_i].format)
		ck_assert_str_eq(o->format, valid[_i].format);
	else
		ck_assert_ptr_null(o->format);
	free(destination);
	blockcopy_options_free(o);
	blockcopy_free(bc);
}
END_TEST

/* Written, and read again. */
START_TEST(there_and_back)
{
	struct blockcopy_options *o, *read;
	char *destination, *text;
	struct blockcopy *bc;

	ck_assert_int_eq(blockcopy_new(&bc), 0);
	ck_assert_int_eq(blockcopy_options_new(&o), 0);
	ck_assert_int_eq(blockcopy_options_new(&read), 0);
	if (valid[_i].format)
		ck_assert_int_eq(blockcopy_options_set_format(o, valid[_i].format), 0);
	ck_assert_int_eq(blockcopy_destination_to_xml(bc, valid[_i].destination, valid[_i].blockdev, o,
						      &text), 0);
	ck_assert_msg(blockcopy_destination_from_xml(bc, text, strlen(text), read, &destination) == 0,
		      "%s: %s", text, blockcopy_error_message(bc));
	ck_assert_str_eq(destination, valid[_i].destination);
	ck_assert_int_eq(read->blockdev, valid[_i].blockdev);
	ck_assert_int_eq(!read->format, !valid[_i].format);
	free(destination);
	free(text);
	blockcopy_options_free(read);
	blockcopy_options_free(o);
	blockcopy_free(bc);
}
END_TEST

/* Attributes and elements of <source>, elements of <disk>. */
#define RBD(attributes, in_source, in_disk) \
	"<disk type='network'>" in_disk "<source protocol='rbd' " attributes ">" in_source "</source></disk>"

static const struct {
	const char *xml, *says;
} invalid[] = {
	{ "", "xml: line 1" },
	{ "disk", "xml: line 1" },
	{ "<disk>\n<source></disk>", "xml: line 2" },
	{ "<!DOCTYPE disk [<!ENTITY e 'x'>]><disk type='file'><source file='/&e;'/></disk>",
	  "a document type" },
	{ "<domain><devices/></domain>", "<domain>: found this element, needed <disk>" },
	{ "<disk><source file='/a'/></disk>", "<disk>: found no such attribute, needed one, type=" },
	{ "<disk type=''><source file='/a'/></disk>", "needed one, type=" },
	{ "<disk type='dir'><source dir='/a'/></disk>", "<disk>: found dir" },
	{ "<disk type='volume'><source pool='p' volume='v'/></disk>", "<disk>: found volume" },
	{ "<disk type='nvme'><source type='pci' namespace='1'/></disk>", "<disk>: found nvme" },
	{ "<disk type='vhostuser'><source path='/a'/></disk>", "<disk>: found vhostuser" },
	{ "<disk type='file' device='cdrom'><source file='/a'/></disk>", "<disk>: found cdrom" },
	{ "<disk type='file'/>", "<disk>: found no <source>" },
	{ "<disk type='file'><source dev='/dev/sda'/></disk>", "<source>: found no such attribute, needed one, file=" },
	{ "<disk type='block'><source file='/a'/></disk>", "<source>: found no such attribute, needed one, dev=" },
	{ "<disk type='file'><source file='a'/></disk>", "<source>: found a, needed an absolute path" },
	{ "<disk type='file'><source file='/a'/><driver type='luks'/></disk>", "<driver>: found luks" },
	{ "<disk type='file'><source file='/a'/><readonly/></disk>", "<disk>: found <readonly>" },
	{ "<disk type='file'><source file='/a'/><shareable/></disk>", "<disk>: found <shareable>" },
	{ "<disk type='file'><source file='/a'/><transient/></disk>", "<disk>: found <transient>" },
	{ "<disk type='file'><source file='/a'/><encryption format='luks'/></disk>",
	  "<disk>: found <encryption>" },
	{ "<disk type='file'><source file='/a'><encryption format='luks'/></source></disk>",
	  "<source>: found <encryption>" },
	{ "<disk type='file'><source file='/a'><slices><slice type='storage' offset='1' size='2'/></slices>"
	  "</source></disk>", "<source>: found <slices>" },
	{ "<disk type='block'><source dev='/a'><reservations managed='yes'/></source></disk>",
	  "<source>: found <reservations>" },
	{ "<disk type='file'><source file='/a'/><backingStore type='file'><source file='/b'/>"
	  "</backingStore></disk>", "<disk>: found <backingStore>" },
	{ "<disk type='network'><source name='x'/></disk>", "<source>: found no such attribute, needed one, protocol=" },
	{ "<disk type='network'><source protocol='iscsi' name='x'><host name='h'/></source></disk>",
	  "<source>: found iscsi" },
	{ "<disk type='network'><source protocol='nbd'/></disk>", "<source>: found no <host>" },
	{ "<disk type='network'><source protocol='nbd'><host name='a'/><host name='b'/></source></disk>",
	  "<source>: found more than one <host>" },
	{ "<disk type='network'><source protocol='nbd' tls='yes'><host name='a'/></source></disk>",
	  "<source>: found tls" },
	{ "<disk type='network'><source protocol='nbd'><host port='1'/></source></disk>",
	  "<host>: found no such attribute, needed one, name=" },
	{ "<disk type='network'><source protocol='nbd'><host name='a' port='0'/></source></disk>",
	  "<host>: found 0, needed a port" },
	{ "<disk type='network'><source protocol='nbd'><host name='a' port='65536'/></source></disk>",
	  "<host>: found 65536, needed a port" },
	{ "<disk type='network'><source protocol='nbd'><host name='a' transport='rdma'/></source></disk>",
	  "<host>: found rdma" },
	{ "<disk type='network'><source protocol='nbd'><host transport='unix'/></source></disk>",
	  "<host>: found no such attribute, needed one, socket=" },
	{ "<disk type='network'><source protocol='nbd'><host name='a'/><auth username='u'/></source></disk>",
	  "<source>: found <auth>" },
	{ "<disk type='network'><auth username='u'><secret type='ceph' usage='x'/></auth>"
	  "<source protocol='nbd'><host name='a'/></source></disk>", "<disk>: found <auth>" },
	{ "<disk type='file'><source file='/a'/><auth username='u'><secret type='ceph' usage='x'/></auth></disk>",
	  "<disk>: found <auth>" },
	{ RBD("name='i'", "", ""), "<source>: found i, needed name='POOL/IMAGE'" },
	{ RBD("name='p/'", "", ""), "<source>: found p/, needed name='POOL/IMAGE'" },
	{ RBD("name='/i'", "", ""), "<source>: found /i, needed name='POOL/IMAGE'" },
	{ RBD("name='p//i'", "", ""), "<source>: found p//i, needed name='POOL/IMAGE'" },
	{ RBD("name='p/n/m/i'", "", ""), "<source>: found p/n/m/i, needed name='POOL/IMAGE'" },
	{ RBD("", "", ""), "<source>: found no such attribute, needed one, name=" },
	{ RBD("name='p/i' tls='yes'", "", ""), "<source>: found tls" },
	{ RBD("name='p/i'", "<host port='1'/>", ""), "<host>: found no such attribute, needed one, name=" },
	{ RBD("name='p/i'", "<host name='a'/><host name='b' port='x'/>", ""), "<host>: found x, needed a port" },
	{ RBD("name='p/i'", "<host name='a' transport='unix' socket='/s'/>", ""), "<host>: found unix" },
	{ RBD("name='p/i'", "<host name='a,b'/>", ""), "<host>: found a,b" },
	{ RBD("name='p/i'", "<snapshot name='s'/>", ""), "<source>: found <snapshot>" },
	{ RBD("name='p/i'", "<encryption format='luks'/>", ""), "<source>: found <encryption>" },
	{ RBD("name='p/i'", "<config/>", ""), "<config>: found no such attribute, needed one, file=" },
	{ RBD("name='p/i'", "<config file='c'/>", ""), "<config>: found c, needed an absolute path" },
	{ RBD("name='p/i'", "", "<auth><secret type='ceph' usage='x'/></auth>"),
	  "<auth>: found no such attribute, needed one, username=" },
	{ RBD("name='p/i'", "", "<auth username='u'/>"), "<auth>: found no <secret>" },
	{ RBD("name='p/i'", "", "<auth username='u'><key/></auth>"), "<auth>: found <key>" },
	{ RBD("name='p/i'", "", "<auth username='u'><secret usage='x'/></auth>"),
	  "<secret>: found no such attribute, needed one, type=" },
	{ RBD("name='p/i'", "", "<auth username='u'><secret type='iscsi' usage='x'/></auth>"),
	  "<secret>: found iscsi" },
	{ RBD("name='p/i'", "", "<auth username='u'><secret type='ceph'/></auth>"),
	  "<secret>: found no uuid= or usage=" },
	{ RBD("name='p/i'", "", "<auth username='u'><secret type='ceph' usage='x' "
	      "uuid='457eb676-33da-42ec-9a8c-9293d545c337'/></auth>"), "<secret>: found both" },
	{ RBD("name='p/i'", "", "<auth username='u'><secret type='ceph' uuid='457eb676'/></auth>"),
	  "<secret>: found 457eb676, needed a UUID" },
	{ RBD("name='p/i'", "", "<auth username='u'><secret type='ceph' usage=''/></auth>"),
	  "<secret>: found an empty usage=" },
	{ RBD("name='p/i'", "<auth username='u'><secret type='ceph' usage='x'/></auth>",
	      "<auth username='u'><secret type='ceph' usage='x'/></auth>"), "<disk>: found <auth> in it and" },
};

START_TEST(refused)
{
	struct blockcopy_options *o;
	struct blockcopy *bc;
	char *destination;

	ck_assert_int_eq(blockcopy_new(&bc), 0);
	ck_assert_int_eq(blockcopy_options_new(&o), 0);
	ck_assert_int_lt(blockcopy_destination_from_xml(bc, invalid[_i].xml, strlen(invalid[_i].xml), o,
							&destination), 0);
	ck_assert_int_eq(blockcopy_error(bc), BLOCKCOPY_USAGE);
	ck_assert_msg(strstr(blockcopy_error_message(bc), invalid[_i].says), "%s: \"%s\" has no \"%s\"",
		      invalid[_i].xml, blockcopy_error_message(bc), invalid[_i].says);
	blockcopy_options_free(o);
	blockcopy_free(bc);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lib-xml");
	TCase *t = tcase_create("xml");

	tcase_add_loop_test(t, taken, 0, ELEMENTSOF(valid));
	tcase_add_loop_test(t, there_and_back, 0, ELEMENTSOF(valid));
	tcase_add_loop_test(t, refused, 0, ELEMENTSOF(invalid));
	suite_add_tcase(s, t);
	return unit_main(s);
}
