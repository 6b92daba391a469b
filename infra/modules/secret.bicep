// One secret of the vault. A module of its own, so that it is left alone when no value is given.

@description('Name of the vault.')
param vault string

@description('Name of the secret.')
param name string

@description('What it is.')
param contentType string

@description('The secret.')
@secure()
param value string

resource keyVault 'Microsoft.KeyVault/vaults@2023-07-01' existing = {
  name: vault
}

resource secret 'Microsoft.KeyVault/vaults/secrets@2023-07-01' = {
  // checkov:skip=CKV_AZURE_41: Neither the App Center token nor the key of the index expires; docs/SECURITY.md says when and how they are changed.
  parent: keyVault
  name: name
  properties: {
    contentType: contentType
    value: value
  }
}
