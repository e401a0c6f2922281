-- The load of one slice, for wrk: GET and POST over cells drawn at random before the clock starts.
--
-- Arguments: part of writes (0 to 1), cells, seed. Prints one line of JSON when the slice is over. `writes` counts the
-- POSTs handed to wrk, one of which may be wrk's own check of the script before it starts, and up to one per connection
-- may be unanswered at the end; the reader of the line allows for both.

local PREPARED = 50000
local requests = {}
local kinds = {}
local at = 0
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(arguments)
  local part, cells, seed = tonumber(arguments[1]), tonumber(arguments[2]), tonumber(arguments[3])
  math.randomseed(seed)
  for i = 1, PREPARED do
    local path = "/cells/cell-" .. math.random(0, cells - 1)
    if math.random() < part then
      requests[i] = wrk.format("POST", path .. "/incr", nil, "")
      kinds[i] = 1
    else
      requests[i] = wrk.format("GET", path)
      kinds[i] = 0
    end
  end
  writes = 0
end

function request()
  at = at % PREPARED + 1
  writes = writes + kinds[at]
  return requests[at]
end

function done(summary, latency)
  local sent = 0
  for _, thread in ipairs(threads) do
    sent = sent + thread:get("writes")
  end
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"microseconds":%d,"writes":%d,"p50":%d,"p99":%d,"socketErrors":%d,"badAnswers":%d}\n',
    summary.requests, summary.duration, sent, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.timeout, errors.status))
end
