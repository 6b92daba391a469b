// The archive's connection string, which App Center gets for a custom export. It goes from the account straight into
// the vault, and through no parameter or output.

@description('Name of the vault.')
param vault string

@description('Name of the secret.')
param name string

@description('Name of the archive account.')
param account string

@description('Resource group of that account.')
param accountResourceGroup string

resource keyVault 'Microsoft.KeyVault/vaults@2023-07-01' existing = {
  name: vault
}

resource archive 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  scope: resourceGroup(accountResourceGroup)
  name: account
}

resource secret 'Microsoft.KeyVault/vaults/secrets@2023-07-01' = {
  // checkov:skip=CKV_AZURE_41: Account keys do not expire; docs/SECURITY.md says when and how they are changed.
  parent: keyVault
  name: name
  properties: {
    contentType: 'Connection string of a storage account'
    value: 'DefaultEndpointsProtocol=https;AccountName=${account};AccountKey=${archive.listKeys().keys[0].value};EndpointSuffix=${environment().suffixes.storage}'
  }
}
