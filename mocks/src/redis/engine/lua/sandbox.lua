-- What scripts see. Runs once for each Lua state, before any script, and returns the function that runs one.
--
-- Globals and libraries are stand-ins: empty tables that find what they hold in another table and refuse to
-- be written. (Redis patches Lua to have read-only tables; this is the same seen from a script.)

local host, redis_fields, libraries, globals_hold_arguments = ...

local raw_error, raw_pcall, raw_xpcall, raw_pairs, raw_next = error, pcall, xpcall, pairs, next
local raw_setmetatable, raw_getmetatable, raw_rawset, raw_rawget = setmetatable, getmetatable, rawset, rawget
local raw_loadstring, raw_load, setfenv, type, tostring, sub = loadstring, load, setfenv, type, tostring, string.sub

local READ_ONLY = 'Attempt to modify a readonly table'
local held = raw_setmetatable({}, { __mode = 'k' })

local function protect(fields)
  local stand_in = {}
  held[stand_in] = fields
  return raw_setmetatable(stand_in, {
    __index = fields,
    __newindex = function() raw_error(READ_ONLY, 2) end,
    __metatable = false,
  })
end

local redis = redis_fields
for _, name in raw_pairs({ 'sha1hex', 'log', 'setresp', 'error_reply', 'status_reply', 'set_repl' }) do
  redis[name] = host[name]
end
if globals_hold_arguments then
  function redis.replicate_commands() return true end
  function redis.breakpoint() return false end
  function redis.debug() end
end

local math_fields = {}
for name, value in raw_pairs(math) do math_fields[name] = value end
math_fields.random, math_fields.randomseed = host.random, host.randomseed

local coroutine_fields = {}
for name, value in raw_pairs(coroutine) do coroutine_fields[name] = value end

local globals = {
  _VERSION = _VERSION, assert = assert, collectgarbage = collectgarbage, error = error, gcinfo = gcinfo,
  ipairs = ipairs, rawequal = rawequal, select = select, tonumber = tonumber, tostring = tostring,
  type = type, unpack = unpack, coroutine = protect(coroutine_fields), math = protect(math_fields),
  redis = protect(redis), string = protect(string), table = protect(table),
}
for name, library in raw_pairs(libraries) do globals[name] = protect(library) end
local environment = {}
held[environment] = globals
globals._G = environment

local function no_such_global(_, name)
  raw_error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
end
raw_setmetatable(globals, { __index = no_such_global })
local environment_metatable = {
  __index = globals,
  __newindex = function() raw_error(READ_ONLY, 2) end,
  __metatable = false,
}
raw_setmetatable(environment, environment_metatable)

-- While a library is loaded it sees nothing but `redis`, and of that only what it needs.
local function set_globals(redis_of_library)
  environment_metatable.__index = globals
  if not redis_of_library then return end
  redis_of_library.log = host.log
  raw_setmetatable(redis_of_library, { __index = no_such_global })
  environment_metatable.__index = raw_setmetatable(
    { redis = protect(redis_of_library) }, { __index = no_such_global })
end

function globals.pairs(subject) return raw_pairs(held[subject] or subject) end
function globals.next(subject, key) return raw_next(held[subject] or subject, key) end
function globals.rawget(subject, key) return raw_rawget(held[subject] or subject, key) end
globals.rawset = host.guard(held, raw_rawset, 'ERR ' .. READ_ONLY)
globals.setmetatable = host.guard(held, raw_setmetatable, 'ERR ' .. READ_ONLY)
-- The metatable of strings is shared by all scripts.
local string_metatable = protect({ __index = globals.string })
local globals_metatable = protect({ __index = no_such_global })
function globals.getmetatable(subject)
  if type(subject) == 'string' then return string_metatable end
  if subject == environment then return globals_metatable end
  if held[subject] then return nil end
  return raw_getmetatable(subject)
end

-- Failures of host functions are no plain Lua values; this makes them tables.
local plain = host.plain

-- An error that is a table with a text is caught as its text, as in Redis. A stopped script stays stopped.
local function caught(ok, ...)
  if ok then return true, ... end
  if host.is_stopped() then raw_error((...), 0) end
  local failure = plain((...))
  if type(failure) == 'table' then
    local text = failure.err
    if type(text) == 'string' or type(text) == 'number' then failure = text end
  end
  return false, failure
end
function globals.pcall(...) return caught(raw_pcall(...)) end
local function stopped(ok, ...)
  if not ok and host.is_stopped() then raw_error((...), 0) end
  return ok, ...
end
function globals.xpcall(run, handle)
  return stopped(raw_xpcall(run, function(failure) return handle(plain(failure)) end))
end
local function resumed(ok, ...)
  if ok then return true, ... end
  if host.is_stopped() then raw_error((...), 0) end
  return false, plain((...))
end
local raw_resume = coroutine.resume
function coroutine_fields.resume(...) return resumed(raw_resume(...)) end
local raw_create = coroutine.create
function coroutine_fields.wrap(run) return host.wrap(raw_resume, raw_create(run)) end

-- Bytecode can break the interpreter.
local function in_sandbox(chunk, why)
  if not chunk then return nil, why end
  return setfenv(chunk, environment)
end
function globals.loadstring(text, ...)
  if type(text) == 'string' and sub(text, 1, 1) == '\27' then return nil, 'attempt to load bytecode' end
  return in_sandbox(raw_loadstring(text, ...))
end
function globals.load(read, ...)
  local first = true
  return in_sandbox(raw_load(function()
    local piece = read()
    if first and type(piece) == 'string' and sub(piece, 1, 1) == '\27' then
      raw_error('attempt to load bytecode', 0)
    end
    first = first and (piece == '')
    return piece
  end, ...))
end

local function locate(failure)
  failure = plain(failure)
  if type(failure) ~= 'table' then failure = { err = 'ERR ' .. tostring(failure) } end
  local source, line = host.place()
  if source then failure.source, failure.line = source, line end
  return failure
end

return environment, function(code, keys, args, call, call_protected, acl_check_cmd)
  redis.call, redis.pcall, redis.acl_check_cmd = call, call_protected, acl_check_cmd
  if globals_hold_arguments then
    globals.KEYS, globals.ARGV = keys, args
    return raw_xpcall(code, locate)
  end
  return raw_xpcall(function() return code(keys, args) end, locate)
end, set_globals
