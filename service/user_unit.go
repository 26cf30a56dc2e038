package main

import "strings"

// userUnitRest is the unit after its commands. A user's systemd has no
// privileges: what needs a mount or user namespace is left out, since it
// would be ignored or would hide from the agent who its callers are.
const userUnitRest = `
Restart=on-failure
RestartSec=2
RestartPreventExitStatus=2
TimeoutStopSec=20
UMask=0077
LimitCORE=0
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=default.target
`

// userUnit is the systemd unit (systemd.service(5)) that runs program as this
// user's agent, with those of the global flags that are given. It holds no
// "{{", which kardianos would take for its own.
func userUnit(program string, flags []string) string {
	start := unitCommand(program, append([]string{"run", "--mode", "user"}, flags...))
	reload := unitCommand(program, append([]string{"reload"}, flags...))
	return `[Unit]
Description=Keytender: tokens for local automations
StartLimitIntervalSec=60
StartLimitBurst=5

[Service]
Type=notify
ExecStart=` + start + `
ExecReload=` + reload + userUnitRest
}

func unitCommand(program string, args []string) string {
	command := unitQuote(program)
	for _, arg := range args {
		command += " " + unitQuote(strings.ReplaceAll(arg, "$", "$$"))
	}
	return command
}

// unitQuote writes one word of a command line so that systemd neither splits
// it nor expands a specifier in it. Variables it expands in arguments alone.
func unitQuote(word string) string {
	word = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "{{", `{\x7b`, "\n", `\n`).Replace(word)
	if strings.ContainsAny(word, " \t\"'\\;") || word == "" {
		return `"` + word + `"`
	}
	return word
}
