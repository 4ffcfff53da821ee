-- Asks gatehouse whether a request may pass. The variables that it sets are the contract with haproxy.cfg.

local CHECK = "http://10.0.0.11:8080/api/auth/check"

-- Milliseconds for an attempt. HAProxy 2.6 retries, so a check of a gatehouse that hangs took 20 s.
local TIMEOUT = 5000

-- The headers that gatehouse reads.
local PRESENTED = { "authorization", "x-access-token", "x-api-key" }

local VARIABLES = {
  ["x-user-id"] = "txn.user_id",
  ["x-user-name"] = "txn.user_name",
  ["x-user-roles"] = "txn.user_roles",
  ["x-auth-method"] = "txn.auth_method"
}

-- The values of a header, which HAProxy counts from 0.
local function values(header)
  local list = {}
  for index = 0, #header do list[#list + 1] = header[index] end
  return list
end

core.register_action("gatehouse_check", { "http-req" }, function(txn, role)
  -- Whatever fails from here on lets nothing pass.
  txn:set_var("txn.check", 503)
  local received = txn.http:req_get_headers()
  local headers = { ["x-forwarded-for"] = { txn.sf:src() } }
  for _, name in ipairs(PRESENTED) do
    -- All of them: two that differ are invalid.
    if received[name] then headers[name] = values(received[name]) end
  end
  local query = role == "any" and "" or "?role=" .. role
  local response = core.httpclient():get({ url = CHECK .. query, headers = headers, timeout = TIMEOUT })
  if not response or not response.status or response.status == 0 then return end
  if response.status == 200 then
    for name, variable in pairs(VARIABLES) do
      local header = response.headers[name]
      if not header then return end
      txn:set_var(variable, header[0])
    end
  end
  txn:set_var("txn.check", response.status)
end, 1)
