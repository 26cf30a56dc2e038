package vault

import "errors"

func openAzure(Config, Options) (asked, error) { return nil, errors.New("open azure: not yet") }

func checkAzureName(name string) error { return checkSharedName(name) }
