/* SPDX-License-Identifier: Apache-2.0 */
/* Reads byte arguments; the only place that trusts no length. */
#pragma once

#include <napi.h>

#include <cstdint>
#include <span>
#include <string>

namespace isthmus
{

/* The bytes of a Uint8Array, valid while the caller's handle scope is. */
inline std::span<uint8_t> BytesOf(const Napi::Value &value)
{
	if (!value.IsTypedArray())
		throw Napi::TypeError::New(value.Env(), "a Uint8Array is needed");
	auto array = value.As<Napi::Uint8Array>();
	return {array.Data(), array.ByteLength()};
}

/* The same, of exactly this length. */
inline std::span<uint8_t> BytesOf(const Napi::Value &value, size_t size, const char *what)
{
	const auto bytes = BytesOf(value);
	if (bytes.size() != size)
		throw Napi::RangeError::New(
			value.Env(), std::string(what) + " has " + std::to_string(bytes.size()) +
					     " bytes instead of " + std::to_string(size));
	return bytes;
}

inline Napi::Buffer<uint8_t> CopyBytes(Napi::Env env, const void *data, size_t size)
{
	return Napi::Buffer<uint8_t>::Copy(env, static_cast<const uint8_t *>(data), size);
}

} // namespace isthmus
