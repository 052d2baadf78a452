/* SPDX-License-Identifier: Apache-2.0 */
/* The BPF addon: names every function that src/bpf/native.ts documents. */
#include "bpf_error.h"
#include "btf.h"
#include "classes.h"
#include "defrag.h"
#include "iterator.h"
#include "link.h"
#include "map.h"
#include "object.h"
#include "program.h"
#include "ring_buffer.h"
#include "socket_worker.h"

#include <bpf/libbpf.h>

namespace isthmus
{
namespace
{

void DefineClasses(Napi::Env env)
{
	auto *classes = new Classes;
	env.SetInstanceData(classes);
	classes->object = Napi::Persistent(Object::Define(env));
	classes->map = Napi::Persistent(Map::Define(env));
	classes->iterator = Napi::Persistent(Iterator::Define(env));
	classes->program = Napi::Persistent(Program::Define(env));
	classes->link = Napi::Persistent(Link::Define(env));
	classes->ring_buffer = Napi::Persistent(RingBuffer::Define(env));
}

Napi::Object Init(Napi::Env env, Napi::Object exports)
{
	WarningScope::Install();
	DefineClasses(env);
	exports["openObject"] = Napi::Function::New(env, Object::Open, "openObject");
	exports["openPinnedMap"] = Napi::Function::New(env, Map::OpenPinned, "openPinnedMap");
	exports["openPinnedProgram"] =
		Napi::Function::New(env, Program::OpenPinned, "openPinnedProgram");
	exports["openPinnedLink"] = Napi::Function::New(env, Link::OpenPinned, "openPinnedLink");
	exports["attachTcx"] = Napi::Function::New(env, Link::AttachTcx, "attachTcx");
	exports["attachClsact"] = Napi::Function::New(env, Link::AttachClsact, "attachClsact");
	exports["detachClsact"] = Napi::Function::New(env, Link::DetachClsact, "detachClsact");
	exports["attachXdp"] = Napi::Function::New(env, Link::AttachXdp, "attachXdp");
	exports["attachCgroup"] = Napi::Function::New(env, Link::AttachCgroup, "attachCgroup");
	exports["attachDefrag"] = Napi::Function::New(env, AttachDefrag, "attachDefrag");
	exports["openRingBuffer"] = Napi::Function::New(env, RingBuffer::Open, "openRingBuffer");
	exports["listSockets"] = Napi::Function::New(env, ListSockets, "listSockets");
	exports["walkSockets"] = Napi::Function::New(env, WalkSockets, "walkSockets");
	exports["destroySockets"] = Napi::Function::New(env, DestroySockets, "destroySockets");
	exports["kernelBtf"] = Napi::Function::New(env, KernelBtf, "kernelBtf");
	exports["btfById"] = Napi::Function::New(env, BtfById, "btfById");
	const int cpus = CheckBpf(env, libbpf_num_possible_cpus(), "libbpf_num_possible_cpus");
	exports["possibleCpus"] = Napi::Number::New(env, cpus);
	return exports;
}

} // namespace
} // namespace isthmus

static Napi::Object Register(Napi::Env env, Napi::Object exports)
{
	return isthmus::Init(env, exports);
}

NODE_API_MODULE(bpf, Register)
