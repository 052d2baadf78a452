/* SPDX-License-Identifier: Apache-2.0 */
/* A walk through a map. */
#pragma once

#include "map.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace isthmus
{

class Iterator : public Napi::ObjectWrap<Iterator>
{
public:
	static Napi::Function Define(Napi::Env env);
	static Napi::Object Create(Napi::Env env, std::shared_ptr<MapState> map);

	explicit Iterator(const Napi::CallbackInfo &info);

private:
	Napi::Value Next(const Napi::CallbackInfo &info);

	void Fill(Napi::Env env, uint32_t count);
	[[nodiscard]] int FillBatch(uint32_t count);
	[[nodiscard]] int FillSingly(uint32_t count);
	void Reserve(uint32_t count);

	std::shared_ptr<MapState> map_;
	std::vector<uint8_t> keys_, values_; /* read, from taken_ to filled_ not yet handed out */
	std::vector<uint8_t> cursor_, next_cursor_; /* where the kernel goes on */
	uint32_t capacity_ = 0;
	uint32_t filled_ = 0;
	uint32_t taken_ = 0;
	bool started_ = false;
	bool batched_ = true;
	bool done_ = false;
};

} // namespace isthmus
