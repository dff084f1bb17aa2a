// What libtorch does and its C interface does not offer. No exception leaves a function: its words are the answer.

#include <ATen/Context.h>
#include <ATen/record_function.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string_view>

namespace {

// The bytes, on the heap of malloc.
char* kept(const std::string& bytes) {
  auto* copy = static_cast<char*>(std::malloc(bytes.size() + 1));
  if (copy != nullptr) {
    std::memcpy(copy, bytes.c_str(), bytes.size() + 1);
  }
  return copy;
}

// What a model cuts or keeps gradients with. Freezing takes a `detach` for an operation that does nothing.
constexpr std::array<std::string_view, 6> CUTTING = {
    "aten::detach", "aten::detach_", "aten::detach_copy", "aten::requires_grad_", "prim::data", "prim::Enter",
};

template <size_t N>
bool among(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool cuts_gradients(const torch::jit::Block* block) {
  const auto& nodes = block->nodes();
  return std::any_of(nodes.begin(), nodes.end(), [](const torch::jit::Node* node) {
    const auto& inner = node->blocks();
    return among(CUTTING, node->kind().toQualString()) || std::any_of(inner.begin(), inner.end(), cuts_gradients);
  });
}

// The operations that wait for a CUDA device: they hand a number to the host, return a tensor whose size depends on
// values, or copy between host and device (from memory that is not pinned, a copy waits too).
constexpr std::array<std::string_view, 9> WAITING = {
    "aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::equal", "aten::_unique2",
    "aten::unique_dim", "aten::unique_consecutive", "aten::bincount", "aten::repeat_interleave",
};

// Those of this thread, a line each.
thread_local std::string waited;

// Whether a tensor is asked to be on a device and keeps its type. (tch's `to_kind` names the device that it is on.)
bool moves(const at::RecordFunction& function, std::string_view name) {
  if (name != "aten::to") {
    return false;
  }
  const auto inputs = function.inputs();
  const auto any = [&](const auto& is) { return std::any_of(inputs.begin(), inputs.end(), is); };
  // Types are numbers; the tensor is none, and the other arguments are flags.
  return any([](const c10::IValue& input) { return input.isDevice(); }) &&
         !any([](const c10::IValue& input) { return input.isInt() && !input.isBool(); });
}

std::unique_ptr<at::ObserverContext> note(const at::RecordFunction& function) {
  const std::string_view name = function.name();
  if (among(WAITING, name) || moves(function, name)) {
    waited.append(name).append("\n");
  }
  return nullptr;
}

}  // namespace

extern "C" {

// A TorchScript file, frozen: eval mode, attributes as constants, batch norms folded into convolutions; not one that cuts
// gradients, which freezing would mend.
// True: `out` holds the file, `out_size` bytes. False: `out` says why, in words. `out` is the caller's to free.
bool rlnet_freeze(const char* file, size_t size, char** out, size_t* out_size) {
  try {
    std::istringstream in(std::string(file, size));
    auto module = torch::jit::load(in, c10::Device(c10::kCPU));
    module.eval();
    const auto graph = module.get_method("forward").graph()->copy();
    torch::jit::Inline(*graph);
    if (cuts_gradients(graph->block())) {
      throw std::runtime_error("the model says itself where gradients end");
    }
    std::ostringstream written;
    torch::jit::freeze(module).save(written);
    const auto bytes = written.str();
    *out = kept(bytes);
    *out_size = bytes.size();
    return *out != nullptr;
  } catch (const std::exception& error) {
    *out = kept(error.what());
    *out_size = std::strlen(error.what());
    return false;
  }
}

// Whether convolutions and matrix products of 32 bits on CUDA may round their inputs to TF32.
void rlnet_allow_tf32(bool allow) {
  at::globalContext().setAllowTF32CuDNN(allow);
  at::globalContext().setAllowTF32CuBLAS(allow);
}

// Begins to note what waits for a device in this thread.
uint64_t rlnet_waits_begin() {
  waited.clear();
  return at::addThreadLocalCallback(at::RecordFunctionCallback(note).needsInputs(true).scopes({at::RecordScope::FUNCTION}));
}

// Ends it: the names, a line each, the caller's to free.
char* rlnet_waits_end(uint64_t handle) {
  at::removeCallback(handle);
  return kept(waited);
}
}
