// A masked ReLU in one pass over memory, forward and backward. No exception leaves a function: its words are the answer.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/jit/frontend/tracer.h>

#include <algorithm>
#include <cstring>
#include <optional>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Compiled for each kind of processor; the loader chooses.
#ifdef __x86_64__
#define FOR_EACH_PROCESSOR __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif

// The larger of both; NaN stays NaN.
FOR_EACH_PROCESSOR void raise(const float* x, const float* floor, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    y[i] = x[i] < floor[i] ? floor[i] : x[i];
  }
}

// The gradient where the outcome is above its floor.
FOR_EACH_PROCESSOR void pass_on(const float* y, const float* floor, const float* from, float* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    to[i] = y[i] > floor[i] ? from[i] : 0.0F;
  }
}

// The order in which both lie in memory, so that the floor of unit i of an image is element i; none where there is none.
std::optional<at::MemoryFormat> order(const at::Tensor& xs, const at::Tensor& floor) {
  const auto single = [](const at::Tensor& tensor) { return tensor.is_cpu() && tensor.scalar_type() == at::kFloat; };
  const auto lie = [&](at::MemoryFormat order) { return xs.is_contiguous(order) && floor.is_contiguous(order); };
  if (!single(xs) || !single(floor) || xs.dim() != floor.dim() || xs.numel() != xs.size(0) * floor.numel()) {
    return std::nullopt;
  }
  if (xs.dim() == 4 && lie(at::MemoryFormat::ChannelsLast)) {
    return at::MemoryFormat::ChannelsLast;
  }
  return lie(at::MemoryFormat::Contiguous) ? std::optional(at::MemoryFormat::Contiguous) : std::nullopt;
}

// Calls `one(first element)` for each image.
template <typename One>
void each_image(const at::Tensor& xs, int64_t units, const One& one) {
  // Pieces of 32,768 elements are worth a thread, as in libtorch.
  const int64_t grain = std::max<int64_t>(1, at::internal::GRAIN_SIZE / std::max<int64_t>(1, units));
  at::parallel_for(0, xs.size(0), grain, [&](int64_t begin, int64_t end) {
    for (int64_t image = begin; image < end; ++image) {
      one(image * units);
    }
  });
}

struct MaskedRelu : torch::autograd::Function<MaskedRelu> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& xs, const at::Tensor& floor) {
    at::Tensor ys;
    if (order(xs, floor)) {
      ys = at::empty_like(xs);
      const auto *x = xs.const_data_ptr<float>(), *least = floor.const_data_ptr<float>();
      auto* y = ys.mutable_data_ptr<float>();
      const auto units = floor.numel();
      each_image(xs, units, [&](int64_t first) { raise(x + first, least, y + first, units); });
    } else {
      ys = at::maximum(xs, floor);
    }
    context->save_for_backward({ys, floor});
    return ys;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto &ys = saved[0], &floor = saved[1];
    const auto known = order(ys, floor);
    // A gradient that is itself to be differentiated is made of operations that can be.
    if (!known || at::GradMode::is_enabled()) {
      return {at::where(ys > floor, gradients[0], at::zeros({}, ys.options())), at::Tensor()};
    }
    const auto from = gradients[0].contiguous(*known);
    auto to = at::empty_like(ys);
    const auto *y = ys.const_data_ptr<float>(), *least = floor.const_data_ptr<float>();
    const auto* g = from.const_data_ptr<float>();
    auto* out = to.mutable_data_ptr<float>();
    const auto units = floor.numel();
    each_image(ys, units, [&](int64_t first) { pass_on(y + first, least, g + first, out + first, units); });
    return {to, at::Tensor()};
  }
};

}  // namespace

extern "C" {

// max(xs, floor) as a new tensor, the caller's; its gradient is 0 where a unit is at its floor. Null: `why` says why, in
// words that are the caller's to free.
at::Tensor* rlnet_masked_relu(const at::Tensor* xs, const at::Tensor* floor, char** why) {
  try {
    // A file has libtorch's operations, not this one.
    const auto written = torch::jit::tracer::isTracing();
    return new at::Tensor(written ? at::clamp_min(*xs, *floor) : MaskedRelu::apply(*xs, *floor));
  } catch (const std::exception& error) {
    *why = strdup(error.what());
    return nullptr;
  }
}
}
