#!/bin/sh
# speed_benchmark_torch as fast as a shell is: real flags and output, made-up times. A file beside
# the model's says what is to go wrong, or how many microseconds an iteration takes:
#   $0.d/all or $0.d/<size of the model> with lines NAME=VALUE
micros=1000 iter=10 model= fault= warmup=0 needs=0 counted= jitter=
for word in "$@"; do
  case "$word" in
    --iter=*) iter=${word#*=};;
    --warmup=*) warmup=${word#*=};;
    --model=*) model=${word#*=};;
  esac
done
size=$(wc -c < "$model") || { echo "open file failed because of errno 2 on fopen" >&2; exit 134; }
for knobs in "$0.d/all" "$0.d/$((size))"; do
  [ -e "$knobs" ] && . "$knobs"
done
[ -n "$jitter" ] && micros=$((micros + $$ % 97))
[ -n "$counted" ] && echo "$*" >> "$0.d/launches"
echo "Starting benchmark."
echo "Running warmup runs."
echo "Main runs."
case "$fault" in
  truncated) echo "PytorchStreamReader failed reading zip archive: failed finding central directory" >&2; exit 134;;
  newer) echo "Attempted to read a PyTorch file with version 12, but the maximum supported version for reading is 10." >&2; exit 134;;
  library) echo "error while loading shared libraries: libc10.so: cannot open shared object file" >&2; exit 127;;
  slow) exec sleep 60;;
  few) iter=$((iter - 1));;
  many) iter=$((iter + 1));;
esac
i=0
while [ $i -lt $iter ]; do
  told=$((micros + i % 3))
  [ $i -lt 5 ] && [ "$warmup" -lt "$needs" ] && told=$((3 * micros))  # still cold
  [ "$fault" = inf ] && told=inf
  [ "$fault" = garbage ] && [ $i = 2 ] && told='1"}}}{'
  echo "PyTorchObserver {\"type\": \"NET\", \"unit\": \"us\", \"metric\": \"latency\", \"value\": \"$told\"}"
  i=$((i + 1))
done
[ "$fault" = silent ] && exit 0
echo "Main run finished. Microseconds per iter: $((3 * micros)). Iters per second: 1000"
[ "$fault" = crash ] && kill -SEGV $$
exit 0
