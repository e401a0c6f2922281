-- The load of one slice, for wrk: GET and POST over cells drawn at random before the clock starts.
--
-- Arguments: part of writes (0 to 1), cells, seed, and how cells are drawn (`even`, `zipf`). Prints one line of JSON when the slice is over. `writes` counts the
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

-- Draws cell k with a probability that goes with 1 / (k + 1): by the sums of these, and a search among them.
function zipf(cells)
  local sums, sum = {}, 0
  for k = 1, cells do
    sum = sum + 1 / k
    sums[k] = sum
  end
  return function()
    local x, low, high = math.random() * sum, 1, cells
    while low < high do
      local middle = math.floor((low + high) / 2)
      if sums[middle] < x then low = middle + 1 else high = middle end
    end
    return low - 1
  end
end

function init(arguments)
  local part, cells, seed = tonumber(arguments[1]), tonumber(arguments[2]), tonumber(arguments[3])
  math.randomseed(seed)
  local draw = function() return math.random(0, cells - 1) end
  if arguments[4] == "zipf" then draw = zipf(cells) end
  for i = 1, PREPARED do
    local path = "/cells/cell-" .. draw()
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
