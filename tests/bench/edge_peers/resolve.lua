-- wrk: every request is a page of a visitor who was never seen before
local letters = "abcdefghijklmnopqrstuvwxyz0123456789"
math.randomseed(os.time())
wrk.method = "POST"
wrk.headers["Content-Type"] = "text/plain"

request = function()
  local id = {}
  for i = 1, 32 do
    local n = math.random(#letters)
    id[i] = letters:sub(n, n)
  end
  return wrk.format(nil, nil, nil, '{"key":"' .. string.rep("k", 32) .. '","visitor":"' .. table.concat(id) ..
    '","page":"https://127.0.0.1/chairs?utm_source=google&utm_medium=cpc","referrer":"","selectors":[]}')
end
