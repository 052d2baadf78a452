/* SPDX-License-Identifier: Apache-2.0 */
/* Queueing disciplines: a token bucket that limits what a link sends, and which kind a link has. */
#include "netlink.h"

#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/route/qdisc.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "error.h"

namespace isthmus
{
namespace
{

using MessageHandle = std::unique_ptr<nl_msg, Releaser<nlmsg_free>>;

struct Bucket {
	uint64_t rate; /* bytes a second */
	uint32_t burst; /* bytes */
	uint32_t limit; /* bytes that may wait */
};

uint64_t NumberIn(const Napi::Object &options, const char *key)
{
	const double value = options.Get(key).As<Napi::Number>().DoubleValue();
	return value > 0 ? static_cast<uint64_t>(value) : 0;
}

uint32_t Clamp(uint64_t value)
{
	return static_cast<uint32_t>(
		std::min<uint64_t>(value, std::numeric_limits<uint32_t>::max()));
}

/* Bytes as they are (TCA_TBF_BURST): in ticks, a long time would not fit. */
int PutOptions(nl_msg *message, const Bucket &bucket)
{
	tc_tbf_qopt parameters = {};
	parameters.rate.linklayer = TC_LINKLAYER_ETHERNET; /* without a table of rates */
	parameters.rate.rate = Clamp(bucket.rate);
	parameters.limit = bucket.limit;
	nlattr *options = nla_nest_start(message, TCA_OPTIONS);
	if (!options)
		return -NLE_MSGSIZE;
	int rc = nla_put(message, TCA_TBF_PARMS, sizeof(parameters), &parameters);
	if (!rc)
		rc = nla_put_u32(message, TCA_TBF_BURST, bucket.burst);
	if (!rc && bucket.rate > std::numeric_limits<uint32_t>::max())
		rc = nla_put_u64(message, TCA_TBF_RATE64, bucket.rate);
	return rc ? rc : nla_nest_end(message, options);
}

/* Handle 0: whatever the root has. */
int PutRoot(nl_msg *message, int ifindex, uint32_t handle)
{
	tcmsg root = {};
	root.tcm_ifindex = ifindex;
	root.tcm_parent = TC_H_ROOT;
	root.tcm_handle = handle;
	return nlmsg_append(message, &root, sizeof(root), NLMSG_ALIGNTO);
}

} // namespace

void Netlink::LimitRate(const Napi::CallbackInfo &info)
{
	const int ifindex = info[0].As<Napi::Number>().Int32Value();
	const auto options = info[1].As<Napi::Object>();
	const Bucket bucket = {NumberIn(options, "rate"), Clamp(NumberIn(options, "burst")),
			       Clamp(NumberIn(options, "limit"))};
	const std::string subject = "link " + std::to_string(ifindex);
	const MessageHandle message(nlmsg_alloc_simple(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE));
	if (!message)
		throw MakeError(info.Env(), {ENOMEM, "limit rate of", subject, "", ""});
	int rc = PutRoot(message.get(), ifindex, TC_H_MAKE(1U << 16, 0));
	if (!rc)
		rc = nla_put_string(message.get(), TCA_KIND, "tbf");
	if (!rc)
		rc = PutOptions(message.get(), bucket);
	Check(rc, "limit rate of", subject);
	nl_sock *socket = Socket();
	rc = nl_send_auto(socket, message.get());
	Check(rc < 0 ? rc : nl_wait_for_ack(socket), "limit rate of", subject);
}

Napi::Value Netlink::RootQdisc(const Napi::CallbackInfo &info)
{
	const int ifindex = info[0].As<Napi::Number>().Int32Value();
	const CacheHandle cache = Dump("list qdiscs", [](nl_sock *socket, nl_cache **result) {
		return rtnl_qdisc_alloc_cache(socket, result);
	});
	for (nl_object *object = nl_cache_get_first(cache.get()); object;
	     object = nl_cache_get_next(object)) {
		auto *qdisc = TC_CAST(object);
		if (rtnl_tc_get_ifindex(qdisc) == ifindex && rtnl_tc_get_parent(qdisc) == TC_H_ROOT)
			return Napi::String::New(info.Env(), rtnl_tc_get_kind(qdisc));
	}
	return info.Env().Undefined();
}

Napi::Value Netlink::RemoveRootQdisc(const Napi::CallbackInfo &info)
{
	const int ifindex = info[0].As<Napi::Number>().Int32Value();
	const std::string subject = "link " + std::to_string(ifindex);
	const MessageHandle message(nlmsg_alloc_simple(RTM_DELQDISC, 0));
	if (!message)
		throw MakeError(info.Env(), {ENOMEM, "remove root qdisc of", subject, "", ""});
	Check(PutRoot(message.get(), ifindex, 0), "remove root qdisc of", subject);
	nl_sock *socket = Socket();
	int rc = nl_send_auto(socket, message.get());
	if (rc >= 0)
		rc = nl_wait_for_ack(socket);
	return Napi::Boolean::New(info.Env(), CheckFound(rc, "remove root qdisc of", subject));
}

} // namespace isthmus
