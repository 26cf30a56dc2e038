package state

import "golang.org/x/sys/windows/registry"

// machineID reads the MachineGuid that Windows set-up makes. Not verified on Windows.
func machineID() ([]byte, error) {
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, `SOFTWARE\Microsoft\Cryptography`, registry.QUERY_VALUE|registry.WOW64_64KEY)
	if err != nil {
		return nil, err
	}
	defer k.Close()
	guid, _, err := k.GetStringValue("MachineGuid")
	if err != nil {
		return nil, err
	}
	if id := parseID([]byte(guid)); id != nil {
		return id, nil
	}
	return nil, ErrNoMachineID
}
