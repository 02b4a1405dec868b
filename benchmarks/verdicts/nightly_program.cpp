// `speed_benchmark_torch` for loopback phones: loads and times a model with this host's libtorch.
//
// The tests' own (tests/loopback) needs the seconds of `import torch` for each launch, and a night
// has hundreds. Flags and output are those mobileopt/runners/speed_benchmark_torch.py relies on.
#include <ATen/Parallel.h>
#include <torch/script.h>

#include <chrono>
#include <cstdint>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

using Clock = std::chrono::steady_clock;

static std::vector<std::string> split(const std::string& text, char mark) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, mark);) {
    parts.push_back(part);
  }
  return parts;
}

static double microseconds(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

int main(int argc, char** argv) {
  std::map<std::string, std::string> flags{{"warmup", "0"}, {"iter", "10"}};
  for (int at = 1; at < argc; ++at) {
    const std::string word(argv[at]);
    const auto equals = word.find('=');
    if (word.rfind("--", 0) == 0 && equals != std::string::npos) {
      flags[word.substr(2, equals - 2)] = word.substr(equals + 1);
    }
  }
  torch::NoGradGuard no_grad;
  at::set_num_threads(1);  // as a phone of one core: several share this host
  const auto formats = split(flags["input_memory_format"], ';');
  std::vector<c10::IValue> inputs;
  for (const auto& dims : split(flags["input_dims"], ';')) {
    std::vector<int64_t> shape;
    for (const auto& dim : split(dims, ',')) {
      shape.push_back(std::stoll(dim));
    }
    const bool last = formats.at(inputs.size()) == "channels_last";
    const auto layout = last ? c10::MemoryFormat::ChannelsLast : c10::MemoryFormat::Contiguous;
    inputs.push_back(torch::ones(shape).contiguous(layout));
  }
  auto model = torch::jit::load(flags["model"]);
  for (int left = std::stoi(flags["warmup"]); left > 0; --left) {
    model.forward(inputs);
  }
  std::cout << "Main runs.\n";
  std::vector<double> times;
  const auto start = Clock::now();
  for (int left = std::stoi(flags["iter"]); left > 0; --left) {
    const auto begin = Clock::now();
    model.forward(inputs);
    times.push_back(microseconds(begin));
  }
  const double mean = microseconds(start) / times.size();
  for (const double each : times) {
    std::cout << R"(PyTorchObserver {"type": "NET", "unit": "us", "metric": "latency", "value": ")"
              << static_cast<int64_t>(each) << "\"}\n";
  }
  std::cout << "Main run finished. Microseconds per iter: " << mean
            << ". Iters per second: " << 1e6 / mean << std::endl;
}
