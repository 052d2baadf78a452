/* SPDX-License-Identifier: Apache-2.0 */
/* Attaches programs to devices and cgroups, replaces and detaches them. */
#include "link.h"

#include "bpf_error.h"
#include "classes.h"
#include "program.h"

#include <bpf/bpf.h>

#include <cerrno>
#include <cstring>

namespace isthmus
{
namespace
{

/* Newer than the kernel headers this may be built with (6.6). */
constexpr auto kTcxIngress = static_cast<enum bpf_attach_type>(46);
constexpr auto kTcxEgress = static_cast<enum bpf_attach_type>(47);
constexpr uint32_t kLinkTypeNetfilter = 10;
constexpr uint32_t kLinkTypeTcx = 11;

int ProgramFd(const Napi::Value &value)
{
	return Program::Unwrap(value.ToObject())->Fd();
}

bool IsIngress(const Napi::Value &value)
{
	const std::string side = value.ToString();
	if (side != "ingress" && side != "egress")
		throw Napi::TypeError::New(value.Env(), "side is 'ingress' or 'egress'");
	return side == "ingress";
}

Filter FilterOf(const Napi::Value &ifindex, const Napi::Value &side)
{
	return {ifindex.ToNumber(), IsIngress(side) ? BPF_TC_INGRESS : BPF_TC_EGRESS};
}

Napi::Object Create(Napi::Env env, LinkArguments link)
{
	return Classes::Of(env).link.New({Napi::External<LinkArguments>::New(env, &link)});
}

const char *KindOf(uint32_t type)
{
	switch (type) {
	case BPF_LINK_TYPE_CGROUP:
		return "cgroup";
	case BPF_LINK_TYPE_XDP:
		return "xdp";
	case kLinkTypeNetfilter:
		return "netfilter";
	case kLinkTypeTcx:
		return "tcx";
	default:
		return nullptr;
	}
}

} // namespace

Napi::Function Link::Define(Napi::Env env)
{
	return DefineClass(env, "NativeLink",
			   {
				   InstanceAccessor<&Link::Kind>("kind"),
				   InstanceMethod<&Link::Update>("update"),
				   InstanceMethod<&Link::Pin>("pin"),
				   InstanceMethod<&Link::Detach>("detach"),
				   InstanceMethod<&Link::Close>("close"),
			   });
}

Napi::Value Link::OpenPinned(const Napi::CallbackInfo &info)
{
	const Napi::Env env = info.Env();
	const std::string path = info[0].ToString();
	Descriptor descriptor(bpf_obj_get(path.c_str()));
	if (descriptor.Get() < 0)
		CheckBpf(env, -errno, "bpf_obj_get", path);
	struct bpf_link_info link = {};
	uint32_t length = sizeof(link);
	CheckBpf(env, bpf_obj_get_info_by_fd(descriptor.Get(), &link, &length),
		 "bpf_obj_get_info_by_fd", path);
	const char *kind = KindOf(link.type);
	if (!kind)
		throw MakeError(env,
				{EINVAL, "open link", path,
				 "link type " + std::to_string(link.type) + " is unknown", ""});
	return Create(env, {kind, std::move(descriptor), path});
}

Napi::Value Link::AttachTcx(const Napi::CallbackInfo &info)
{
	const int ifindex = info[1].ToNumber();
	const auto type = IsIngress(info[2]) ? kTcxIngress : kTcxEgress;
	Descriptor descriptor(bpf_link_create(ProgramFd(info[0]), ifindex, type, nullptr));
	if (descriptor.Get() < 0)
		CheckBpf(info.Env(), -errno, "bpf_link_create tcx ifindex",
			 std::to_string(ifindex));
	return Create(info.Env(), {"tcx", std::move(descriptor), ""});
}

Napi::Value Link::AttachClsact(const Napi::CallbackInfo &info)
{
	const Napi::Env env = info.Env();
	const Filter filter = FilterOf(info[1], info[2]);
	const std::string subject = std::to_string(filter.ifindex);
	const auto *program = Program::Unwrap(info[0].ToObject());
	const WarningScope warnings;
	const std::string there = filter.ProgramName();
	if (!there.empty() && there != program->Name())
		throw MakeError(env, {EEXIST, "bpf_tc_attach ifindex", subject,
				      "the filter there is another's: " + there, ""});
	CheckBpf(env, filter.Attach(program->Fd()), "bpf_tc_attach ifindex", subject,
		 warnings.Tail());
	return Create(env, {"clsact", Descriptor(), "", filter});
}

Napi::Value Link::DetachClsact(const Napi::CallbackInfo &info)
{
	const Filter filter = FilterOf(info[1], info[2]);
	const auto *program = Program::Unwrap(info[0].ToObject());
	const bool ours = filter.ProgramName() == program->Name();
	if (ours)
		CheckBpf(info.Env(), filter.Detach(), "bpf_tc_detach ifindex",
			 std::to_string(filter.ifindex));
	return Napi::Boolean::New(info.Env(), ours);
}

Napi::Value Link::AttachXdp(const Napi::CallbackInfo &info)
{
	const int ifindex = info[1].ToNumber();
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = info[2].ToNumber());
	Descriptor descriptor(bpf_link_create(ProgramFd(info[0]), ifindex, BPF_XDP, &options));
	if (descriptor.Get() < 0)
		CheckBpf(info.Env(), -errno, "bpf_link_create xdp ifindex",
			 std::to_string(ifindex));
	return Create(info.Env(), {"xdp", std::move(descriptor), ""});
}

Napi::Value Link::AttachCgroup(const Napi::CallbackInfo &info)
{
	const std::string path = info[1].ToString();
	const auto type = static_cast<enum bpf_attach_type>(info[2].ToNumber().Int32Value());
	const Descriptor cgroup(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (cgroup.Get() < 0)
		CheckBpf(info.Env(), -errno, "open", path);
	Descriptor descriptor(bpf_link_create(ProgramFd(info[0]), cgroup.Get(), type, nullptr));
	if (descriptor.Get() < 0)
		CheckBpf(info.Env(), -errno, "bpf_link_create cgroup", path);
	return Create(info.Env(), {"cgroup", std::move(descriptor), ""});
}

Link::Link(const Napi::CallbackInfo &info)
    : Napi::ObjectWrap<Link>(info),
      link_(std::move(*info[0].As<Napi::External<LinkArguments>>().Data()))
{
}

bool Link::IsFilter() const
{
	return strcmp(link_.kind, "clsact") == 0;
}

Napi::Value Link::Kind(const Napi::CallbackInfo &info)
{
	return Napi::String::New(info.Env(), link_.kind);
}

void Link::Update(const Napi::CallbackInfo &info)
{
	const int program_fd = ProgramFd(info[0]);
	const WarningScope warnings;
	if (IsFilter())
		CheckBpf(info.Env(), link_.filter.Attach(program_fd), "bpf_tc_attach ifindex",
			 std::to_string(link_.filter.ifindex), warnings.Tail());
	else
		CheckBpf(info.Env(), bpf_link_update(link_.descriptor.Get(), program_fd, nullptr),
			 "bpf_link_update", link_.path);
}

void Link::Pin(const Napi::CallbackInfo &info)
{
	if (IsFilter())
		return;
	const std::string path = info[0].ToString();
	CheckBpf(info.Env(), bpf_obj_pin(link_.descriptor.Get(), path.c_str()), "bpf_obj_pin",
		 path);
	link_.path = path;
}

/* ENOLINK: its device or cgroup is gone already, and only the pin is left. */
void Link::Detach(const Napi::CallbackInfo &info)
{
	const Napi::Env env = info.Env();
	if (IsFilter()) {
		CheckBpf(env, link_.filter.Detach(), "bpf_tc_detach ifindex",
			 std::to_string(link_.filter.ifindex));
		return;
	}
	const int rc = bpf_link_detach(link_.descriptor.Get());
	if (rc != -ENOLINK)
		CheckBpf(env, rc, "bpf_link_detach", link_.path);
	if (!link_.path.empty() && unlink(link_.path.c_str()) < 0 && errno != ENOENT)
		CheckBpf(env, -errno, "unlink", link_.path);
	link_.path.clear();
	link_.descriptor.Close();
}

void Link::Close(const Napi::CallbackInfo &)
{
	link_.descriptor.Close();
}

} // namespace isthmus
