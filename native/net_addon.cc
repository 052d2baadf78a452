/* SPDX-License-Identifier: Apache-2.0 */
/* The network addon: names every function that src/net/native.ts documents. */
#include "net_classes.h"
#include "netlink.h"

static Napi::Object Register(Napi::Env env, Napi::Object exports)
{
	auto *classes = new isthmus::NetClasses;
	env.SetInstanceData(classes);
	classes->netlink = Napi::Persistent(isthmus::Netlink::Define(env));
	exports["openNetlink"] = Napi::Function::New(env, isthmus::Netlink::Open, "openNetlink");
	return exports;
}

NODE_API_MODULE(net, Register)
