// Runs a fuzz target over its kept corpus without libFuzzer, so that every ordinary build replays it (`ctest -R fuzz_replay`).
// Every input is also cut at each of 16 places and has 64 single bytes flipped, from a fixed seed: a replay that can fail on new code.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {
// A copy of exactly this size on the heap, so that a sanitizer sees a read past the end.
void run(const std::vector<std::uint8_t>& input) {
  const std::unique_ptr<std::uint8_t[]> copy(new std::uint8_t[input.size()]);
  std::copy(input.begin(), input.end(), copy.get());
  LLVMFuzzerTestOneInput(copy.get(), input.size());
}
}  // namespace

int main(int argc, char** argv) {
  std::size_t files = 0, inputs = 0;
  std::uint64_t state = 1;
  for (int i = 1; i < argc; ++i) {
    if (!std::filesystem::exists(argv[i])) {
      std::fprintf(stderr, "no corpus %s\n", argv[i]);
      return 1;
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i])) {
      if (!entry.is_regular_file()) continue;
      std::ifstream file(entry.path(), std::ios::binary);
      std::vector<std::uint8_t> input{std::istreambuf_iterator<char>(file), {}};
      ++files;
      run(input), ++inputs;
      for (std::size_t cut = 0; cut < 16 && !input.empty(); ++cut, ++inputs) run({input.begin(), input.begin() + static_cast<std::ptrdiff_t>(input.size() * cut / 16)});
      for (int flip = 0; flip < 64 && !input.empty(); ++flip, ++inputs) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        auto changed = input;
        changed[(state >> 33) % changed.size()] = static_cast<std::uint8_t>(state >> 20);
        run(changed);
      }
    }
  }
  std::printf("%zu files, %zu inputs\n", files, inputs);
  return files == 0 ? 1 : 0;  // an empty corpus proves nothing
}
